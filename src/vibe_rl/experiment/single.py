"""A run from its config to its files, and back: train, load the agent, evaluate it again."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, overload

import jax

from vibe_rl.checkpoint import load_metadata
from vibe_rl.configs.train_config import TrainConfig, algorithm_name
from vibe_rl.errors import ConfigError
from vibe_rl.experiment.build import (
    build,
    check_own_checkpoints,
    check_same_config,
    config_of,
    new_run_dir,
    on_one_device,
    record,
)
from vibe_rl.experiment.seeds import train_seeds
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.runner.evaluator import EvalMetrics
from vibe_rl.runner.fit import FitResult
from vibe_rl.runner.resuming import agent_part
from vibe_rl.runner.run import Run
from vibe_rl.runner.schedule import evaluation_key
from vibe_rl.runner.session import opened
from vibe_rl.system.processes import run_on_first
from vibe_rl.system.programs import enable_compilation_cache
from vibe_rl.types import PyTree

Path = str | os.PathLike[str]


@overload
def train(config: TrainConfig, base_dir: Path = "runs") -> tuple[RunDir, FitResult]: ...


@overload
def train(
    config: TrainConfig, base_dir: Path = "runs", *, seeds: Iterable[int]
) -> tuple[RunDir, list[FitResult]]: ...


def train(
    config: TrainConfig, base_dir: Path = "runs", *, seeds: Iterable[int] | None = None
) -> tuple[RunDir, FitResult] | tuple[RunDir, list[FitResult]]:
    """Runs `config` in a new run directory; nothing is written if it cannot work.

    With `seeds`, a run for each of them, in one program; see `vibe_rl.experiment.seeds`.
    """
    if seeds is not None:
        return train_seeds(config, seeds, base_dir)
    check_own_checkpoints(config)
    check_same_config(config)
    run = build(config)
    run_dir = new_run_dir(f"{config.env_id}_{algorithm_name(config)}", base_dir)
    with opened(run, run_dir) as session:
        run_on_first(partial(record, run_dir, config))
        return run_dir, session.train()


def resume(path: str | os.PathLike[str], config: TrainConfig) -> tuple[RunDir, FitResult]:
    """Goes on with a run from its latest checkpoint, to the total of `config`.

    Numbers may differ from those that the run had; the config is recorded beside the earlier ones.
    Without a checkpoint the run begins anew, in the same directory.

    Raises:
        ConfigError: what was saved does not fit the config; the message names both shapes.
    """
    run_dir = RunDir.open(path)
    check_own_checkpoints(config)
    check_same_config(config)
    run = build(replace(config, runner=replace(config.runner, resume=True)))
    with opened(run, run_dir) as session:
        run_on_first(partial(record, run_dir, config))
        return run_dir, session.train()


def load_run(
    path: str | os.PathLike[str], best: bool = False
) -> tuple[Run, PyTree, Mapping[str, Any]]:
    """A run as its config describes it, its latest or best saved agent, and its notes."""
    run_dir = RunDir.open(path)
    run = build(on_one_device(config_of(path)), check_memory=False)
    if best and run_dir.best_checkpoint is None:
        raise ConfigError(
            f"{run_dir} has no best checkpoint, for it was never evaluated: leave out best."
        )
    step = int(run_dir.best_checkpoint.name.removeprefix("step_")) if best else None  # type: ignore[union-attr]
    like = run.algorithm.portable(jax.eval_shape(run.algorithm.init, jax.random.key(0)))
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
        return run.score(agent_state, key, episodes)
