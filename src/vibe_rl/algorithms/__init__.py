"""Algorithms, one file each, read from top to bottom as the paper is."""

from vibe_rl.algorithms.base import Algorithm
from vibe_rl.algorithms.bc import BC, BCConfig, BCMetrics, BCState
from vibe_rl.algorithms.bc_sac import BCSAC, BCSACConfig
from vibe_rl.algorithms.dqn import DQN, DQNConfig, DQNMetrics, DQNState
from vibe_rl.algorithms.ppo import PPO, PPOConfig, PPOMetrics, PPOState
from vibe_rl.algorithms.sac import SAC, SACConfig, SACMetrics, SACState

__all__ = [
    "BC",
    "BCSAC",
    "DQN",
    "PPO",
    "SAC",
    "Algorithm",
    "BCConfig",
    "BCMetrics",
    "BCSACConfig",
    "BCState",
    "DQNConfig",
    "DQNMetrics",
    "DQNState",
    "PPOConfig",
    "PPOMetrics",
    "PPOState",
    "SACConfig",
    "SACMetrics",
    "SACState",
]
