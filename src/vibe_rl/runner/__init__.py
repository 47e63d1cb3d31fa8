"""Runners: the loop, its host side, evaluation, and the seed's training functions."""

from vibe_rl.runner.config import RunnerConfig
from vibe_rl.runner.evaluator import EvalMetrics, evaluate, jit_evaluate
from vibe_rl.runner.fit import FitResult, Run, fit, prepare
from vibe_rl.runner.train_ppo import PPOMetricsHistory, PPOTrainState, train_ppo

__all__ = [
    "EvalMetrics",
    "FitResult",
    "PPOMetricsHistory",
    "PPOTrainState",
    "Run",
    "RunnerConfig",
    "evaluate",
    "fit",
    "jit_evaluate",
    "prepare",
    "train_ppo",
]
