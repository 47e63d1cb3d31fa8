"""Algorithms, one file each, read from top to bottom as the paper is."""

from vibe_rl.algorithms.base import Algorithm
from vibe_rl.algorithms.ppo import PPO, PPOConfig, PPOState
from vibe_rl.algorithms.ppo_loss import PPOMetrics

__all__ = ["PPO", "Algorithm", "PPOConfig", "PPOMetrics", "PPOState"]
