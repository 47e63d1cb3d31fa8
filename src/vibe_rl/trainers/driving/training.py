"""The pipeline: from a composed tree to a run that trains, is saved, and can be gone on with."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from vibe_rl.configs.train_config import TrainConfig
from vibe_rl.env.checks.traced import trace
from vibe_rl.env.host import HostEnvironment
from vibe_rl.env.reductions import column, named_columns
from vibe_rl.errors import ConfigError, unknown
from vibe_rl.experiment.config_files import new_run_dir, write_run_files
from vibe_rl.extras import require
from vibe_rl.run_dir.directory import EPISODES, RunDir
from vibe_rl.run_dir.files import first_free, numbered_files, numbered_names, write_atomically
from vibe_rl.run_dir.group import AnyPath, check_single
from vibe_rl.runner.eval_metrics import EvalMetric
from vibe_rl.runner.fit import Callback, FitResult
from vibe_rl.runner.run import Run
from vibe_rl.runner.session import Session, open_session
from vibe_rl.system.processes import run_on_first
from vibe_rl.system.signals import unless_interrupted
from vibe_rl.tracking.base import Tracker
from vibe_rl.tracking.settings import TrackingSettings, Translated, read_settings, write_settings
from vibe_rl.trainers.driving.checks import check_before_scenarios, checked_run
from vibe_rl.trainers.driving.composing import NEEDS, Composition
from vibe_rl.trainers.driving.evaluating import last_outcome
from vibe_rl.trainers.driving.keys import AUTO
from vibe_rl.trainers.driving.lines import IterationLines
from vibe_rl.trainers.driving.names import base_of, newest_run_of, run_name, tracking_settings
from vibe_rl.trainers.driving.plans import Plan, plan_of
from vibe_rl.trainers.driving.results import episodes_text
from vibe_rl.trainers.driving.scenarios import are_to_be_made, with_scenarios_of

FOLDER = ".hydra"
"""Of a run directory: the composed tree, and the words that made it."""


def train_tree(
    tree: Composition,
    callback: Callback | None = None,
    eval_metrics: Mapping[str, EvalMetric] | None = None,
) -> tuple[RunDir, FitResult]:
    """Trains what a tree describes: a new run, or the one that it says to resume.

    Args:
        tree: see `composing.compose`.
        callback: see `vibe_rl.runner.train_ppo`.
        eval_metrics: functions of an evaluation's episodes, by their names; see `EvalMetric`.

    Raises:
        ConfigError: the run cannot work; nothing has been written.
        NonFiniteLossError, TrainingInterrupted: see `vibe_rl.experiment.train`.
    """
    plan = plan_of(tree)
    before = run_to_resume(plan)
    if are_to_be_made(plan.source, plan.keys):
        check_before_scenarios(plan, before, callback, eval_metrics)
    config = with_scenarios_of(plan.config, plan.source, plan.keys)
    run = checked_run(config, before, eval_metrics)
    go_on = partial(_begin, plan) if before is None else partial(_resume, before)
    return go_on(Pieces(tree, config, run, callback))


class Pieces(NamedTuple):
    """A run that nothing refuses, and what is written down of it."""

    tree: Composition
    config: TrainConfig
    run: Run
    callback: Callback | None


def run_to_resume(plan: Plan) -> Path | None:
    """The directory of the run that a plan says to go on with, if there is one."""
    if plan.keys.resume == AUTO:
        newest = newest_run_of(plan)
        return None if newest is None else Path(str(newest))
    return None if plan.keys.resume is None else Path(plan.keys.resume)


def _begin(plan: Plan, pieces: Pieces) -> tuple[RunDir, FitResult]:
    """Trains a new run; its directory is removed again if it fails before anything was learned."""
    run, name, own = pieces.run, run_name(plan), _own_metrics(pieces.run)
    check_objective(plan.keys.objective, own.values())
    told = tracking_settings(plan, own, run.steps_per_update)
    with (
        new_run_dir(name, base_of(plan), run_id=name) as run_dir,
        open_session(run, run_dir, pieces.callback) as session,
    ):
        run_on_first(partial(write_settings, run_dir, told))
        return trained(session, run_dir, pieces)


def _resume(path: Path, pieces: Pieces) -> tuple[RunDir, FitResult]:
    """Goes on with the run of a directory."""
    check_single(path)
    run_dir = RunDir.open(path)
    with open_session(pieces.run, run_dir, pieces.callback) as session:
        return trained(session, run_dir, pieces)


def trained(session: Session, run_dir: RunDir, pieces: Pieces) -> tuple[RunDir, FitResult]:
    """Writes down what is trained, unless nothing is left to do, and trains it."""
    if not session.complete:
        run_on_first(partial(write_run_files, run_dir, pieces.config))
        run_on_first(partial(write_tree, run_dir, pieces.tree))
    lines = console(pieces.tree, read_settings(run_dir))
    result = session.train(pieces.callback, [lines])
    run_on_first(partial(write_last_episodes, run_dir, pieces.run, result))
    return unless_interrupted((run_dir, result), session.signal)


def write_last_episodes(run_dir: RunDir, run: Run, result: FitResult) -> None:
    """Keeps a row for each held-out scenario of the last evaluation, for reports."""
    outcome = last_outcome(run.eval_params, result.evaluation)
    if outcome is not None:
        with write_atomically(run_dir.artifacts / EPISODES) as file:
            file.write(episodes_text(outcome).encode())


def console(tree: Composition, told: TrackingSettings) -> Tracker:
    """The lines of a run."""
    keys = plan_of(tree).keys
    return Translated(IterationLines(keys.iteration_steps(keys.num_devices or 1)), told)


def _own_metrics(run: Run) -> dict[str, str]:
    """What is told of steps and episodes, the user's metrics included: names in rows, and own."""
    found = {f"{name}{how}": name for name in run.eval_metrics for how in ("", "_mean")}
    assert not isinstance(run.env, HostEnvironment)
    info = trace(run.env, run.first_params).after.info
    for entry in ("metrics", "episode"):
        for name in named_columns(run.env, info, entry):
            own = column(name)
            found[name if own is None else own.row_name] = name if own is None else own.name
    return found


def write_tree(run_dir: RunDir, tree: Composition) -> None:
    """Keeps a tree in a run's directory, where Hydra's users look for it; that of a resumed run
    beside the one before, unless it is the same.
    """
    omegaconf = require("omegaconf", *NEEDS).OmegaConf
    folder = run_dir.root / FOLDER
    folder.mkdir(exist_ok=True)
    if (folder / "overrides.yaml").exists() and _words_of(run_dir.root) == of_settings(tree.words):
        return
    for name, content in (("config", tree.values), ("overrides", list(tree.words))):
        text = omegaconf.to_yaml(omegaconf.create(content))
        with write_atomically(first_free(folder, numbered_names(name, ".yaml"))) as file:
            file.write(text.encode())


def _words_of(path: AnyPath) -> list[str]:
    """The words that made the newest tree of a run.

    Raises:
        ConfigError: the directory is of no such run.
    """
    there = numbered_files(Path(path) / FOLDER, "overrides", ".yaml")
    if not there:
        raise ConfigError(f"resume={path} is no run of vibe-rl driving train: name one, or auto.")
    words = require("omegaconf", *NEEDS).OmegaConf.load(there[-1])
    return of_settings(words)


def of_settings(words: Iterable[str]) -> list[str]:
    """The words without the one that says what is resumed."""
    return [word for word in words if not word.startswith("resume=")]


def resumed_words(words: Sequence[str]) -> list[str]:
    """The words, after those of the run that they say to resume."""
    named = [word.partition("=")[2] for word in words if word.startswith("resume=")]
    if not named or named[-1] in (AUTO, "null"):
        return list(words)
    return [*_words_of(named[-1]), *words]


def check_objective(name: str | None, known: Iterable[str]) -> None:
    """Raises ConfigError for a figure that no evaluation has."""
    if name is not None and name not in (names := {"return", *known}):
        raise unknown("objective", name, names)


def objective_of(result: FitResult, name: str | None) -> float:
    """The figure of the last evaluation that a sweep maximizes.

    Raises:
        ConfigError: there was no evaluation, or it has no such figure.
    """
    scores = result.evaluation
    if scores is None:
        raise ConfigError("num_scenario_per_eval 0: sweeps maximize a figure of evaluations.")
    found: dict[str, Any] = {column_name(n): x for n, x in scores.metrics.items()}
    if name is None:
        return float(found.get("success", scores.mean_return))
    if name != "return" and name not in found:
        raise ConfigError(f"objective {name}: evaluations have return, {', '.join(found)}.")
    return float(scores.mean_return if name == "return" else found[name])


def column_name(row_name: str) -> str:
    """A metric without the word that says how it was reduced."""
    return row_name.removesuffix("_mean")
