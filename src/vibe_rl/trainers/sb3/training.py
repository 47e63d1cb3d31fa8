"""`train_masked_ppo`: a whole training, with models, rows, evaluations and trackers."""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from typing_extensions import override

from vibe_rl.errors import ConfigError, EnvironmentDiedError, reason, shown
from vibe_rl.extras import require
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.manifest import commit
from vibe_rl.run_dir.notes import SessionNote, note_end
from vibe_rl.system.signals import StopRequest, unless_interrupted
from vibe_rl.tracking.base import LogBackend, Tee, Tracker
from vibe_rl.tracking.console import ConsoleTracker
from vibe_rl.tracking.jsonl import MetricsLogger
from vibe_rl.tracking.opening import Destinations, open_named
from vibe_rl.trainers.sb3.loading import make_model, require_sb3
from vibe_rl.trainers.sb3.models import step_of
from vibe_rl.trainers.sb3.place import (
    Place,
    all_versions,
    description_of_training,
    open_place,
    record_place,
)
from vibe_rl.trainers.sb3.settings import Settings, check_training

DIED = (EOFError, ConnectionError, EnvironmentDiedError)
"""What a process that plays a game leaves behind."""


class Outcome(NamedTuple):
    """What a training has come to."""

    run_dir: RunDir
    model: Path  # that was saved last
    step: int  # env steps of the run
    timesteps: int  # that were asked for
    episodes: int
    best_return: float | None  # of the best evaluation, whose model is beside `model`


def train_masked_ppo(settings: Settings, trackers: Sequence[LogBackend] = ()) -> Outcome:
    """Trains MaskablePPO and leaves its models in `models/RUN`, its log in `logs/RUN`.

    A resumed run goes on in both if they are there, from the env step of the model that is named;
    later rows and models are set aside. That model's code is run.

    Args:
        settings: what to train, and for how long.
        trackers: get what is logged, beside the run directory.

    Raises:
        ConfigError: a setting cannot work, or sb3-contrib is not installed.
        EnvironmentDiedError: a game's process has ended; `crash_recovery_model.zip` is saved.
        TrainingInterrupted: Ctrl-C or SIGTERM; `interrupted_model.zip` is saved.
    """
    check_training(settings)
    require_sb3()
    step = _where_to_resume(settings)
    with StopRequest() as stop, _open_envs(settings, settings.num_envs) as envs:
        model = make_model(settings, envs)
        with _open_envs(settings, 1) as evaluated, open_place(settings, step) as place:
            evaluated.seed(settings.seed_of(step or 0, 1))
            record_place(settings, place, model)
            with noted(place, model, stop):
                outcome = _learn(settings, place, model, evaluated, stop, trackers)
    return unless_interrupted(outcome, stop.signal)


def _where_to_resume(settings: Settings) -> int | None:
    """The env step where the run resumes; None for a new run.

    Raises:
        ConfigError: the model cannot be read, or nothing is left to do.
    """
    if settings.resume is None:
        return None
    step = step_of(Path(settings.resume))
    if step >= settings.timesteps:
        raise ConfigError(
            f"--timesteps {settings.timesteps}: {settings.resume} has seen {step} env steps; give "
            "more."
        )
    return step


@contextmanager
def _open_envs(settings: Settings, n: int) -> Iterator[Any]:
    """As many environments as one of SB3's, which have begun; closed when the block ends.

    Raises:
        ConfigError: there are none of this id, or they have no masks.
        EnvironmentDiedError: the process of one has ended.
    """
    require("gymnasium", "sb3", "trainings with MaskablePPO")
    from vibe_rl.trainers.sb3.envs import make_envs  # noqa: PLC0415 - needs gymnasium

    try:
        envs = make_envs(settings, n)
        envs.reset()
    except DIED as error:
        raise EnvironmentDiedError(
            f"{death(error)} before the first step: see what it says with --num_envs 1."
        ) from error
    try:
        yield envs
    finally:
        with suppress(*DIED):
            envs.close()


def death(error: Exception) -> str:
    """Which process has ended; that of several environments side by side does not say."""
    if isinstance(error, EnvironmentDiedError):
        return reason(error).partition(":")[0]
    return "the process of a game has ended"


def _learn(
    settings: Settings,
    place: Place,
    model: Any,
    evaluated: Any,
    stop: StopRequest,
    trackers: Sequence[LogBackend],
) -> Outcome:
    """Trains, logs, evaluates and saves.

    Args:
        settings: see `train_masked_ppo`.
        place: where all is written.
        model: with its environments.
        evaluated: the environment of evaluations.
        stop: whether somebody asks for the end.
        trackers: beside the run's own.
    """
    from vibe_rl.trainers.sb3 import hooks  # noqa: PLC0415 - needs SB3

    with Destinations() as destinations:
        own = _own_trackers(settings, place, destinations)
        with Tee(*trackers, *own) as tee:
            about = {"versions": all_versions(), "commit": commit()}
            tee.log_config({**description_of_training(settings, model), **about})
            model.set_logger(hooks.make_logger(tee, settings.info or settings.debug))
            made = hooks.make_hooks(settings, place, tee, evaluated, stop)
            with rescued(place, model, stop), one_thread():
                left = settings.timesteps - model.num_timesteps
                model.learn(left, made.callbacks, reset_num_timesteps=False)
                model.dump_logs()  # of the last update
            tee.status = "interrupted" if stop.requested else "finished"
            saved = place.models.save(model, "interrupted" if stop.requested else "final")
    progress = model.num_timesteps, settings.timesteps, made.episodes.count
    best = made.evaluation.best_mean_reward
    return Outcome(place.run_dir, saved, *progress, best if math.isfinite(best) else None)


@contextmanager
def one_thread() -> Iterator[None]:
    """In its block PyTorch uses one core, unless `OMP_NUM_THREADS` says otherwise.

    Networks this small gain nothing from more, and on a busy machine lose much: threads wait for
    each other at every product.
    """
    torch = require("torch", "sb3", "trainings with MaskablePPO")
    before = torch.get_num_threads()
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def rescued(place: Place, model: Any, stop: StopRequest) -> Iterator[None]:
    """Saves the model where its block fails; a process that has ended is told in one sentence.

    Ctrl-C may end the processes of the games too: then the training is only interrupted.
    """
    try:
        yield
    except Exception as error:
        died = isinstance(error, DIED)
        if died and stop.requested:
            return
        path = shown(place.models.save(model, "crash_recovery"))
        if died:
            raise EnvironmentDiedError(
                f"{death(error)}: what was learned is in {path}, go on with --resume {path}."
            ) from error
        raise


@contextmanager
def noted(place: Place, model: Any, stop: StopRequest) -> Iterator[None]:
    """Writes down in the run directory how its block ended."""
    begin = place.step or 0
    try:
        yield
    except Exception as error:
        note_end(place.run_dir, SessionNote(begin, None, "failed", None, reason=reason(error)))
        raise
    status = "interrupted" if stop.requested else "finished"
    note_end(place.run_dir, SessionNote(begin, model.num_timesteps, status, None))


def _own_trackers(settings: Settings, place: Place, destinations: Destinations) -> list[Tracker]:
    """The run's log, which passes rows on to the named trackers, and its progress."""
    names = ("sqlite", "wandb") if settings.wandb else ("sqlite",)
    named = open_named(names, place.run_dir, place.step, destinations)
    log = MetricsLogger(place.run_dir.log_path(), named, resume=place.step is not None)
    return [log, _Progress(settings.timesteps, initial=place.step or 0)]


class _Progress(ConsoleTracker):
    """A line that tells the mean return of the last episodes."""

    @override
    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        if "episode_return" not in metrics:
            mean = metrics.get("rollout/ep_rew_mean")
            super().log({**metrics, "episode_return_mean": mean}, step)
