"""One run: the loop, its host side, evaluation, and the `train_*` functions."""

from vibe_rl.runner.config import RunnerConfig
from vibe_rl.runner.env_params import EnvParamsSchedule
from vibe_rl.runner.evaluator import EvalMetrics, evaluate, jit_evaluate
from vibe_rl.runner.fit import FitResult, fit
from vibe_rl.runner.placement import get_num_devices, split_key_across_devices
from vibe_rl.runner.run import Run, prepare
from vibe_rl.runner.train_dqn import DQNTrainResult, train_dqn
from vibe_rl.runner.train_ppo import PPOMetricsHistory, PPOTrainState, train_ppo
from vibe_rl.runner.train_ppo_multigpu import train_ppo_multigpu
from vibe_rl.runner.train_sac import SACTrainResult, train_sac
from vibe_rl.sharding import replicate, replicate_on_mesh, shard_pytree, unreplicate

__all__ = [
    "DQNTrainResult",
    "EnvParamsSchedule",
    "EvalMetrics",
    "FitResult",
    "PPOMetricsHistory",
    "PPOTrainState",
    "Run",
    "RunnerConfig",
    "SACTrainResult",
    "evaluate",
    "fit",
    "get_num_devices",
    "jit_evaluate",
    "prepare",
    "replicate",
    "replicate_on_mesh",
    "shard_pytree",
    "split_key_across_devices",
    "train_dqn",
    "train_ppo",
    "train_ppo_multigpu",
    "train_sac",
    "unreplicate",
]
