"""One run, from its config to its files and back: train, resume, load the agent, evaluate it."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, overload

import jax

from vibe_rl.checkpoint import CheckpointManager, load_metadata, saved_steps
from vibe_rl.configs.train_config import TrainConfig, experiment_name
from vibe_rl.env.params.many import entries_of, first_entries, held_out
from vibe_rl.env.registry import make
from vibe_rl.errors import ConfigError, whole_number
from vibe_rl.experiment.build import (
    build,
    build_for_run_dir,
    check_new,
    for_one_device,
    resumed,
)
from vibe_rl.experiment.config_files import new_run_dir, read_config, write_run_files
from vibe_rl.experiment.rewinding import go_back, locate
from vibe_rl.experiment.seeds import train_seeds
from vibe_rl.ops import prng
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.group import AnyPath, check_single
from vibe_rl.runner.actors import RANDOM, Sampled, actor_named, evaluate_actor
from vibe_rl.runner.config import RunnerConfig
from vibe_rl.runner.evaluation import results_of
from vibe_rl.runner.evaluator import EvalMetrics
from vibe_rl.runner.fit import Callback, FitResult
from vibe_rl.runner.resuming import agent_part
from vibe_rl.runner.run import Run
from vibe_rl.runner.saving import eval_return
from vibe_rl.runner.session import checkpoints_of, open_session
from vibe_rl.runner.streams import evaluation_key
from vibe_rl.system.notices import say_once
from vibe_rl.system.processes import run_on_first
from vibe_rl.system.programs import enable_compilation_cache
from vibe_rl.system.signals import unless_interrupted
from vibe_rl.tracking.base import LogBackend
from vibe_rl.tracking.settings import TrackingSettings, write_settings
from vibe_rl.types import PyTree


@overload
def train(
    config: TrainConfig,
    base_dir: AnyPath = "runs",
    *,
    callback: Callback | None = None,
    trackers: Sequence[LogBackend] = (),
    run_id: str | None = None,
    tracking: TrackingSettings | None = None,
) -> tuple[RunDir, FitResult]: ...


@overload
def train(
    config: TrainConfig, base_dir: AnyPath = "runs", *, seeds: Iterable[int]
) -> tuple[RunDir, list[FitResult]]: ...


def train(
    config: TrainConfig,
    base_dir: AnyPath = "runs",
    *,
    seeds: Iterable[int] | None = None,
    callback: Callback | None = None,
    trackers: Sequence[LogBackend] = (),
    run_id: str | None = None,
    tracking: TrackingSettings | None = None,
) -> tuple[RunDir, FitResult] | tuple[RunDir, list[FitResult]]:
    """Trains a run in a new run directory; nothing is written if it cannot work.

    Args:
        config: the whole run.
        base_dir: where the run directory is made.
        seeds: trains a run for each of them, in one program, instead of one with the config's seed;
            see `vibe_rl.experiment.seeds`.
        callback: of a single run; see `vibe_rl.runner.train_ppo`.
        trackers: of a single run; get what is logged, beside the run directory.
        run_id: the name of a single run's directory, instead of one with the time.
        tracking: what a single run's trackers are told besides rows; kept in its directory.

    Returns:
        The run directory and the result; with `seeds`, the group's directory and all results.

    Raises:
        ConfigError: the run cannot work.
        NonFiniteLossError: a loss became NaN or infinite, with `seeds` that of every run.
        TrainingInterrupted: Ctrl-C or SIGTERM ended it; the result is in the exception.
    """
    if seeds is not None:
        check_alone(callback, trackers, run_id, tracking)
        return train_seeds(config, seeds, base_dir)
    run = build_for_run_dir(config, check_new)
    name = experiment_name(config)
    with (
        new_run_dir(name, base_dir, config.runner.checkpoint_dir, run_id) as run_dir,
        open_session(run, run_dir, callback, trackers) as session,
    ):
        run_on_first(partial(write_run_files, run_dir, config))
        if tracking is not None:
            run_on_first(partial(write_settings, run_dir, tracking))
        result = session.train(callback, trackers)
    return unless_interrupted((run_dir, result), session.signal)


def check_alone(*of_one_run: Any) -> None:
    """Raises ConfigError if a group is given what is told of one run."""
    if any(of_one_run):
        raise ConfigError(
            "callback, trackers, run_id and tracking are of a single run: leave out seeds, or name "
            "the trackers in runner.track."
        )


def resume(
    path: AnyPath,
    config: TrainConfig,
    *,
    callback: Callback | None = None,
    trackers: Sequence[LogBackend] = (),
    rewind: bool = False,
) -> tuple[RunDir, FitResult]:
    """Resumes from the latest checkpoint and trains up to `config.runner.total_timesteps`.

    Hyperparameters may differ from those before; the config is recorded beside the earlier ones,
    unless nothing is left to do. Without a checkpoint the run starts from scratch, in the same
    directory.

    Args:
        path: the run directory, or a checkpoint `RUN/checkpoints/step_N`.
        config: the whole run.
        callback: see `vibe_rl.runner.train_ppo`.
        trackers: get what is logged, beside the run directory.
        rewind: lets the checkpoint be an earlier one; what came after it is moved to a folder of
            the run directory, and trackers continue from there.

    Raises:
        ConfigError: the checkpoint does not fit the config; the message names what differs. Or more
            steps were made than the config asks for, or it is a group.
        NonFiniteLossError, TrainingInterrupted: see `train`.
    """
    place = locate(path)
    check_single(place.run)
    run_dir = RunDir.open(path if place.step is None else place.run)
    run = build_for_run_dir(config, resumed)
    if place.step is not None:
        go_back(run, run_dir, place.step, rewind)
    with open_session(run, run_dir, callback, trackers) as session:
        if session.found is None and run_dir.log_path().exists():
            say_once(f"{run_dir} has no checkpoint to resume from: it starts from scratch.")
        if not session.complete:
            run_on_first(partial(write_run_files, run_dir, config))
        result = session.train(callback, trackers)
    return unless_interrupted((run_dir, result), session.signal)


def load_run(path: AnyPath, best: bool = False) -> tuple[Run, PyTree, Mapping[str, Any]]:
    """The run of a directory, its latest or best saved agent, and the checkpoint's notes.

    Raises:
        ConfigError: there is no such checkpoint.
    """
    check_single(path)
    run_dir = RunDir.open(path)
    run = build(for_one_device(read_config(path)))
    checkpoints = checkpoints_of(run.config, run_dir) or run_dir.checkpoints
    step = best_step(run_dir, checkpoints) if best else None
    like = run.algorithm.portable(jax.eval_shape(run.algorithm.init, jax.random.key(0)))
    agent_state = agent_part(checkpoints, like, step)
    return run, agent_state, load_metadata(checkpoints, step=step)


def best_step(run_dir: RunDir, checkpoints: Path) -> int:
    """The step of the checkpoint with the best evaluation, by its mark or, in a copy, its figures.

    Raises:
        ConfigError: there is none.
    """
    marked = run_dir.best_checkpoint
    if marked is not None:
        return int(marked.name.removeprefix("step_"))
    step = None
    if saved_steps(checkpoints):
        with CheckpointManager(checkpoints, best_fn=eval_return, best_mode="max") as manager:
            step = manager.best_step()
    if step is None:
        raise ConfigError(
            f"{run_dir} has no best checkpoint, since it was never evaluated: leave out best."
        )
    return step


def evaluate_run(
    path: AnyPath,
    episodes: int | None = None,
    seed: int | None = None,
    best: bool = False,
    *,
    actor: str | None = None,
    sample: bool = False,
) -> EvalMetrics:
    """Evaluates a run's saved agent greedily, or another player in its place.

    Args:
        path: the run directory.
        episodes: how many; None takes the run's eval_episodes.
        seed: of the episodes; None takes those of the evaluation at the checkpoint's step, so that
            the returns are the same again.
        best: takes the checkpoint with the best evaluation instead of the latest.
        actor: a player of the run's env, such as `random`, that plays in place of the agent; see
            `vibe_rl.runner.actors`.
        sample: lets the agent explore as in training.

    Raises:
        ConfigError: there is no such checkpoint or player, or no episode is to be played.
    """
    episodes = checked_episodes(episodes)
    if actor is not None and sample:
        raise ConfigError(f"sample is of the agent, and actor {actor} plays instead: give one.")
    run, agent_state, notes = load_run(path, best)
    episodes = episodes or max(run.n_eval_episodes, 1)
    enable_compilation_cache()
    key = evaluation_key(notes["seed"], notes["update"]) if seed is None else prng.key(seed)
    with jax.default_matmul_precision(run.config.matmul_precision):
        if actor is None and not sample:
            return results_of(run.evaluate(agent_state, key, episodes))
        player = Sampled(run.algorithm, agent_state)
        if actor is not None:
            player = actor_named(actor, run.env, run.eval_params)
        how = {"n_episodes": episodes, "max_steps": run.config.eval_max_steps, "rng": key}
        how |= {"lanes": run.config.eval_lanes}
        return evaluate_actor(player, run.env, run.params_of_episodes(episodes), **how)


def evaluate_env(
    env_id: str, actor: str = RANDOM, episodes: int | None = None, seed: int = 0
) -> EvalMetrics:
    """Evaluates a player of an environment for which no run is needed.

    Args:
        env_id: see `vibe_rl.env.make`.
        actor: its name; see `vibe_rl.runner.actors`.
        episodes: how many, each at most as long as in the evaluations of runs by default; None
            plays all that the env holds out, or else 100.
        seed: of the episodes.

    Raises:
        ConfigError: there is no such environment or player, or no episode is to be played.
    """
    episodes = checked_episodes(episodes)
    env, env_params = make(env_id)
    env_params = held_out(env, env_params, env_params)
    n_episodes = episodes or entries_of(env, env_params) or 100
    env_params = first_entries(env, env_params, n_episodes)
    player = actor_named(actor, env, env_params)
    enable_compilation_cache()
    how = {"n_episodes": n_episodes, "max_steps": RunnerConfig().eval_max_steps}
    return evaluate_actor(player, env, env_params, **how, rng=prng.key(seed))


def checked_episodes(episodes: int | None) -> int | None:
    """How many are to be played, if that is said; ConfigError if none."""
    return None if episodes is None else whole_number("episodes", episodes, 1)
