"""A method of a comparison: the seeds in a directory, each with its score."""

from math import inf
from pathlib import Path
from typing import Any, NamedTuple

from vibe_rl.errors import ConfigError
from vibe_rl.run_dir.directory import RunDir, find_runs
from vibe_rl.run_dir.divergence import divergence_of
from vibe_rl.run_dir.group import AnyPath, members
from vibe_rl.tracking.jsonl import read_metrics


class Seed(NamedTuple):
    """One run."""

    run: RunDir
    score: float  # -inf if it diverged
    step: int | float  # of the last value of the metric, in env steps
    config: dict[str, Any]


Method = dict[str, list[Seed]]
"""The seeds in each environment, by its name."""


def load_method(path: AnyPath, metric: str, best: bool) -> Method:
    """The seeds of all runs in a directory.

    Raises:
        ConfigError: It holds no run, or one without an environment or the metric.
    """
    method: Method = {}
    for run in runs_in(path):
        config = run.load_latest_config()
        env_id = config.get("env_id")
        if not isinstance(env_id, str):
            raise ConfigError(f"{run} has no env_id in its config.json: add the environment.")
        score, step = score_of(run, metric, best)
        divergence = divergence_of(run)
        if divergence is not None:
            score, step = -inf, divergence.step
        method.setdefault(env_id, []).append(Seed(run, score, step, config))
    return method


def runs_in(path: AnyPath) -> list[RunDir]:
    """The run `path`, the members of the group `path`, or those of all in the folder `path`."""
    path = Path(path)
    runs = [RunDir.open(path)] if (path / "logs").is_dir() else find_runs(path)
    if not runs:
        raise ConfigError(f"{path} holds no run: give a run, a group of seeds or a folder of them.")
    return [run for each in runs for run in members(each) or [each]]


def score_of(run: RunDir, metric: str, best: bool) -> tuple[float, int | float]:
    """The last value of `metric`, or with `best` the highest, and the env steps of the last."""
    rows = read_metrics(run)
    # of rows at the same step, which a resumed run may have, the last counts
    values = {row["step"]: row[metric] for row in rows if metric in row and _has_step(row)}
    if not values:
        raise ConfigError(_no_score(run, metric, rows))
    last = max(values)
    numbers = [value for value in values.values() if isinstance(value, int | float)]
    if not isinstance(values[last], int | float):
        raise ConfigError(
            f"{run} has {metric} {values[last]!r} at its last step {last:,}, which is not a "
            "number: leave it out, and say that a seed failed."
        )
    return float(max(numbers) if best else values[last]), last


def _has_step(row: dict[str, Any]) -> bool:
    return isinstance(row.get("step"), int | float)


def _no_score(run: RunDir, metric: str, rows: list[dict[str, Any]]) -> str:
    if metric == "eval_return":
        return f"{run} was never evaluated: leave it out, or train with runner.eval_episodes 10."
    keys = ", ".join(sorted({key for row in rows for key in row})) or "none"
    return f"{run} has no row with {metric!r}: choose among its keys {keys}."
