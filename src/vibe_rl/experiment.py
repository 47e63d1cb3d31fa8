"""A run from its config to its files, and back: train, load the agent, evaluate it again."""

import os
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import jax

from vibe_rl.algorithms.off_policy import without_ring
from vibe_rl.checkpoint import load_metadata
from vibe_rl.configs.train_config import ALGORITHMS, TrainConfig, algorithm_name, from_dict, to_dict
from vibe_rl.env import AutoResetWrapper, HostEnvironment, make
from vibe_rl.errors import ConfigError
from vibe_rl.records import plain
from vibe_rl.run_dir import RunDir
from vibe_rl.runner.compilation_cache import enable_compilation_cache
from vibe_rl.runner.evaluator import EvalMetrics
from vibe_rl.runner.fit import FitResult
from vibe_rl.runner.prepare import Run, evaluation_key, prepare
from vibe_rl.runner.resuming import agent_part
from vibe_rl.runner.run import resolve_num_envs, run_training
from vibe_rl.types import PyTree


def build(config: TrainConfig) -> Run:
    """The environment and the algorithm that `config` describes; ConfigError if they do not fit."""
    env, env_params = make(config.env_id, **config.env_kwargs)
    if not isinstance(env, HostEnvironment):
        env = AutoResetWrapper(env)
    builder = ALGORITHMS[algorithm_name(config)][1]
    algorithm = builder(env, env_params, config.algo, config.runner)
    num_envs = resolve_num_envs(config.algo.num_envs, config.runner)
    return prepare(algorithm, env, env_params, config.runner, num_envs)


def train(
    config: TrainConfig, base_dir: str | os.PathLike[str] = "runs"
) -> tuple[RunDir, FitResult]:
    """Runs `config` in a new run directory; nothing is written if it cannot work."""
    check_own_checkpoints(config)
    run = build(config)
    run.check_memory()
    run_dir = RunDir(f"{config.env_id}_{algorithm_name(config)}", base_dir)
    return run_dir, run_training(run, run_dir=run_dir, record=partial(record, run_dir, config))


def resume(path: str | os.PathLike[str], config: TrainConfig) -> tuple[RunDir, FitResult]:
    """Goes on with a run from its latest checkpoint, to the total of `config`.

    Numbers may differ from those that the run had; the config is recorded beside the earlier ones.
    Without a checkpoint the run begins anew, in the same directory.

    Raises:
        ConfigError: what was saved does not fit the config; the message names both shapes.
    """
    run_dir = RunDir.open(path)
    check_own_checkpoints(config)
    run = build(replace(config, runner=replace(config.runner, resume=True)))
    return run_dir, run_training(run, run_dir=run_dir, record=partial(record, run_dir, config))


def check_own_checkpoints(config: TrainConfig) -> None:
    """Raises ConfigError for settings about other checkpoints than the run directory's own."""
    runner = config.runner
    if runner.resume or runner.overwrite or runner.checkpoint_dir is not None:
        raise ConfigError(
            "runner.resume, runner.overwrite and runner.checkpoint_dir are for calls from "
            "Python, and a run keeps its checkpoints itself: go on with vibe-rl train --resume RUN."
        )


def config_of(path: str | os.PathLike[str]) -> TrainConfig:
    """The config with which a run was begun or last gone on with."""
    return from_dict(RunDir.open(path).load_latest_config())


def record(run_dir: RunDir, config: TrainConfig) -> None:
    """Writes down what is about to be run, and on what."""
    settings, runner = to_dict(config), config.runner
    if not (run_dir.root / "config.json").exists():
        run_dir.save_config(settings)
    elif plain(settings) != run_dir.load_latest_config():
        run_dir.save_next_config(settings)
    run_dir.save_manifest({"seed": runner.seed, "matmul_precision": runner.matmul_precision})


def load_run(
    path: str | os.PathLike[str], best: bool = False
) -> tuple[Run, PyTree, Mapping[str, Any]]:
    """A run as its config describes it, its latest or best saved agent, and its notes."""
    run_dir = RunDir.open(path)
    run = build(on_one_device(config_of(path)))
    if best and run_dir.best_checkpoint is None:
        raise ConfigError(
            f"{run_dir} has no best checkpoint, for it was never evaluated: leave out best."
        )
    step = int(run_dir.best_checkpoint.name.removeprefix("step_")) if best else None  # type: ignore[union-attr]
    like = without_ring(jax.eval_shape(run.algorithm.init, jax.random.key(0)))
    agent_state = agent_part(run_dir.checkpoints, like, step)
    return run, agent_state, load_metadata(run_dir.checkpoints, step=step)


def evaluate_run(
    path: str | os.PathLike[str],
    episodes: int | None = None,
    seed: int | None = None,
    best: bool = False,
) -> EvalMetrics:
    """Evaluates a run's saved agent greedily.

    Args:
        path: the run directory.
        episodes: None takes the run's eval_episodes.
        seed: of the episodes; None takes those of the evaluation at the checkpoint's step, which
            then gives the same returns again.
        best: takes the checkpoint with the best evaluation instead of the latest.
    """
    if episodes is not None and episodes < 1:
        raise ConfigError(f"episodes {episodes}: give at least 1.")
    run, agent_state, notes = load_run(path, best)
    episodes = episodes or max(run.config.eval_episodes, 1)
    enable_compilation_cache()
    key = evaluation_key(notes["seed"], notes["update"]) if seed is None else jax.random.key(seed)
    with jax.default_matmul_precision(run.config.matmul_precision):
        return run.score((run.algorithm, agent_state), key, episodes)


def on_one_device(config: TrainConfig) -> TrainConfig:
    """The same run, with as many envs, on a machine that may have fewer devices."""
    num_envs = resolve_num_envs(config.algo.num_envs, config.runner)
    runner = replace(config.runner, num_envs=1, num_devices=None, fsdp_devices=1)
    return replace(config, algo=replace(config.algo, num_envs=num_envs), runner=runner)


def with_seed(config: TrainConfig, seed: int) -> TrainConfig:
    """The same run from another seed."""
    return replace(config, runner=replace(config.runner, seed=seed))
