"""Other faces of the same runner: objects that train, as the best-known libraries have them."""

from vibe_rl.trainers.ppo_trainer import (
    ActorNetwork,
    CartPoleWrapper,
    ConvergenceMonitor,
    CriticNetwork,
    MLflowLogger,
    PlateauMonitor,
    PPOAgent,
    PPONetwork,
    PPOTrainer,
)

__all__ = [
    "ActorNetwork",
    "CartPoleWrapper",
    "ConvergenceMonitor",
    "CriticNetwork",
    "MLflowLogger",
    "PPOAgent",
    "PPONetwork",
    "PPOTrainer",
    "PlateauMonitor",
]
