"""Seed 002's trainer: an agent, an env, and what watches over a training by episodes."""

from vibe_rl.networks.actor_critic import ActorCritic as PPONetwork
from vibe_rl.tracking.mlflow import MLflowTracker as MLflowLogger
from vibe_rl.trainers.ppo_trainer.agent import (
    ActorNetwork,
    CriticNetwork,
    PPOAgent,
    evaluate_action,
    get_entropy,
)
from vibe_rl.trainers.ppo_trainer.callbacks import CallbackList, CSVCallback, ProgressPrinter
from vibe_rl.trainers.ppo_trainer.cartpole import CartPoleWrapper
from vibe_rl.trainers.ppo_trainer.progress.monitors import ConvergenceMonitor, PlateauMonitor
from vibe_rl.trainers.ppo_trainer.results import TrainResults
from vibe_rl.trainers.ppo_trainer.settings import TrainerSettings
from vibe_rl.trainers.ppo_trainer.trainer import PPOTrainer

__all__ = [
    "ActorNetwork",
    "CSVCallback",
    "CallbackList",
    "CartPoleWrapper",
    "ConvergenceMonitor",
    "CriticNetwork",
    "MLflowLogger",
    "PPOAgent",
    "PPONetwork",
    "PPOTrainer",
    "PlateauMonitor",
    "ProgressPrinter",
    "TrainResults",
    "TrainerSettings",
    "evaluate_action",
    "get_entropy",
]
