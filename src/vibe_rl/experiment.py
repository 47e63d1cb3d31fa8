"""A run from its config to its files, and back: train, load the agent, evaluate it again."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import jax

from vibe_rl.algorithms.off_policy import without_ring
from vibe_rl.checkpoint import load_checkpoint, load_metadata
from vibe_rl.configs.train_config import ALGORITHMS, TrainConfig, algorithm_name, from_dict, to_dict
from vibe_rl.env import AutoResetWrapper, HostEnvironment, make
from vibe_rl.errors import ConfigError
from vibe_rl.run_dir import RunDir
from vibe_rl.runner.compilation_cache import enable_compilation_cache
from vibe_rl.runner.evaluator import EvalMetrics
from vibe_rl.runner.fit import FitResult
from vibe_rl.runner.prepare import Run, evaluation_key, prepare
from vibe_rl.runner.run import resolve_num_envs, run_training
from vibe_rl.types import PyTree


def build(config: TrainConfig) -> Run:
    """The environment and the algorithm that `config` describes; ConfigError if they do not fit."""
    env, env_params = make(config.env_id, **config.env_kwargs)
    if not isinstance(env, HostEnvironment):
        env = AutoResetWrapper(env)
    builder = ALGORITHMS[algorithm_name(config)][1]
    algorithm = builder(env, env_params, config.algo, config.runner)
    num_envs = resolve_num_envs(config.algo.num_envs, config.runner.num_envs)
    return prepare(algorithm, env, env_params, config.runner, num_envs)


def train(
    config: TrainConfig, base_dir: str | os.PathLike[str] = "runs"
) -> tuple[RunDir, FitResult]:
    """Runs `config` in a new run directory; nothing is written if it cannot work."""
    run = build(config)
    run.check_memory()
    run_dir = RunDir(f"{config.env_id}_{algorithm_name(config)}", base_dir)
    run_dir.save_config(to_dict(config))
    run_dir.save_manifest(
        {"seed": config.runner.seed, "matmul_precision": config.runner.matmul_precision}
    )
    return run_dir, run_training(run, run_dir=run_dir)


def load_run(
    path: str | os.PathLike[str],
) -> tuple[Run, PyTree, Mapping[str, Any]]:
    """A finished run as its config describes it, the agent's final state, and its notes."""
    run_dir = RunDir.open(path)
    run = build(from_dict(run_dir.load_config()))
    like = without_ring(jax.eval_shape(run.algorithm.init, jax.random.key(0)))
    agent_state = load_checkpoint(run_dir.checkpoints, like)
    return run, agent_state, load_metadata(run_dir.checkpoints)


def evaluate_run(
    path: str | os.PathLike[str], episodes: int | None = None, seed: int | None = None
) -> EvalMetrics:
    """Evaluates a run's saved agent greedily.

    Args:
        path: the run directory.
        episodes: None takes the run's eval_episodes.
        seed: of the episodes; None takes those of the run's last evaluation, which then gives the
            same returns again.
    """
    if episodes is not None and episodes < 1:
        raise ConfigError(f"episodes {episodes}: give at least 1.")
    run, agent_state, notes = load_run(path)
    episodes = episodes or max(run.config.eval_episodes, 1)
    enable_compilation_cache()
    key = evaluation_key(notes["seed"], notes["update"]) if seed is None else jax.random.key(seed)
    with jax.default_matmul_precision(run.config.matmul_precision):
        return run.score((run.algorithm, agent_state), key, episodes)


def with_seed(config: TrainConfig, seed: int) -> TrainConfig:
    """The same run from another seed."""
    return dataclasses.replace(config, runner=dataclasses.replace(config.runner, seed=seed))
