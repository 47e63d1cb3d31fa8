"""What an evaluation of scenarios comes to: a row a scenario, and means with 95 % intervals."""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vibe_rl.analysis.aggregate import bootstrap_interval
from vibe_rl.errors import ConfigError, shown, writing
from vibe_rl.run_dir.directory import EPISODES
from vibe_rl.run_dir.files import write_atomically
from vibe_rl.run_dir.plain import plain

RESULTS = "evaluation_results.json"
TEXT = "evaluation_results.txt"
ACTORS = "evaluation_actors.csv"
ENDED_BY = "ended_by_"
"""What the names of columns begin with that say what ended an episode."""
UNKNOWN = "unknown"
"""What has ended an episode of which the environment does not say."""
RESAMPLES = 2_000
Figures = Mapping[str, Any]
"""Columns by name, [S] each."""


class DriveOutcome(NamedTuple):
    """How every scenario went, once."""

    numbers: Sequence[int]  # in their split
    uids: Sequence[str]
    families: Sequence[str]  # their names
    figures: Figures  # of each scenario
    ended_by: Sequence[str]


def ended_by(figures: Figures, count: int) -> list[str]:
    """What ended each episode, as the first of the columns `ended_by_NAME` says that is not 0."""
    endings = [UNKNOWN] * count
    for name in reversed([name for name in figures if name.startswith(ENDED_BY)]):
        fired = np.asarray(figures[name]) > 0
        own = name.removeprefix(ENDED_BY)
        endings = [own if x else before for x, before in zip(fired, endings, strict=True)]
    return endings


def summarize(outcome: DriveOutcome) -> dict[str, Any]:
    """Means of all figures with intervals, over everything and over each family."""
    families = {
        name: _means(outcome, [each == name for each in outcome.families])
        for name in sorted(set(outcome.families))
    }
    return {**_means(outcome, [True] * len(outcome.uids)), "families": families}


def _means(outcome: DriveOutcome, chosen: Sequence[bool]) -> dict[str, Any]:
    """The number of scenarios, means with intervals, and how many ended by what."""
    found: dict[str, Any] = {"scenarios": sum(chosen)}
    for name, column in outcome.figures.items():
        values = np.asarray(column, np.float64)[np.asarray(chosen)]
        found[name], found[f"{name}_ci"] = float(values.mean()), interval(values)
    endings = [each for each, own in zip(outcome.ended_by, chosen, strict=True) if own]
    found["ended_by"] = {name: endings.count(name) for name in sorted(set(endings))}
    return found


def interval(values: np.ndarray) -> list[float]:
    """The 95 % interval of a mean: Wilson's of a share, else the bootstrap's percentiles."""
    if set(np.unique(values)) <= {0.0, 1.0}:
        return wilson(int(values.sum()), len(values))
    if np.ptp(values) == 0 or not np.isfinite(values).all():
        return [float(values.mean())] * 2
    low, high = bootstrap_interval(_mean, [values], RESAMPLES)
    return [float(low), float(high)]


def _mean(values: np.ndarray) -> np.ndarray:
    """Over the last axis."""
    return values.mean(axis=-1)


def wilson(successes: int, count: int, z: float = 1.959964) -> list[float]:
    """The interval of a share (Wilson 1927), which is not empty where all or none succeed."""
    share, n = successes / count, z * z / count
    middle, half = share + n / 2, z * math.sqrt(share * (1 - share) / count + n / (4 * count))
    return [max((middle - half) / (1 + n), 0.0), min((middle + half) / (1 + n), 1.0)]


def check_out(folder: str | Path, overwrite: bool = False) -> Path:
    """The folder; ConfigError if it cannot be one, or has results that are to stay."""
    path = Path(folder)
    there = next(each for each in (path, *path.absolute().parents) if each.exists())
    if not there.is_dir():
        raise ConfigError(f"--out {folder}: {shown(there)} is a file, name a folder.")
    there = [name for name in (EPISODES, RESULTS, TEXT, ACTORS) if (path / name).exists()]
    if there and not overwrite:
        raise ConfigError(f"--out {folder} has {there[0]}: name another folder, or --overwrite.")
    return path


def write_results(folder: Path, about: Mapping[str, Any], outcome: DriveOutcome) -> dict[str, Any]:
    """Writes the three files; what the JSON holds.

    Args:
        folder: made if it is not there.
        about: who drove what, at the head of the JSON.
        outcome: of every scenario.
    """
    results = {**about, **summarize(outcome)}
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    texts = {
        EPISODES: episodes_text(outcome),
        RESULTS: json.dumps(plain(results), indent=2, allow_nan=False) + "\n",
        TEXT: results_text(results) + "\n",
    }
    for name, text in texts.items():
        with write_atomically(folder / name) as file:
            file.write(text.encode())
    return results


def episodes_text(outcome: DriveOutcome) -> str:
    """A row a scenario, as CSV; numbers as short as float32 allows."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["scenario", "uid", "family", *outcome.figures, "ended_by"])
    columns = [np.asarray(column).astype(str) for column in outcome.figures.values()]
    named = outcome.numbers, outcome.uids, outcome.families
    writer.writerows(zip(*named, *columns, outcome.ended_by, strict=True))
    return text.getvalue()


def results_text(results: Mapping[str, Any]) -> str:
    """The results for people: a line a figure, for everything and for each family."""
    lines = [f"{key}: {value}" for key, value in results.items() if isinstance(value, str)]
    parts = {"all": results, **results["families"]}
    for name, part in parts.items():
        lines += ["", f"{name}: {part['scenarios']} scenarios"]
        lines += [f"  {line}" for line in figure_lines(part)]
    return "\n".join(lines).strip()


def figure_lines(part: Mapping[str, Any], names: Sequence[str] = ()) -> list[str]:
    """A line for each figure that has an interval, or for some, and what ended the episodes."""
    known = [name for name in names or part if f"{name}_ci" in part]
    ends = {name: part[f"{name}_ci"] for name in known}
    lines = [f"{n} {part[n]:.4g} [{low:.4g}, {high:.4g}]" for n, (low, high) in ends.items()]
    endings = ", ".join(f"{name} {count}" for name, count in part["ended_by"].items())
    return [*lines, f"ended by {endings}"]


def told(folder: Path) -> str:
    """Where the results are, for people."""
    return ", ".join(shown(folder / name) for name in (EPISODES, RESULTS))


def write_actors(folder: Path, results: Mapping[str, Mapping[str, Any]]) -> Path:
    """Writes the results of several drivers as one table, a row a driver and kind of scene.

    Args:
        folder: exists.
        results: by the driver's name, what `write_results` returns.
    """
    first = next(iter(results.values()))
    names = [name for name in first if f"{name}_ci" in first]
    ends = [f"{name}{end}" for name in names for end in ("", "_low", "_high")]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["actor", "family", "scenarios", *ends])
    for actor, own in results.items():
        for family, part in {"all": own, **own["families"]}.items():
            figures = [x for name in names for x in (part[name], *part[f"{name}_ci"])]
            writer.writerow([actor, family, part["scenarios"], *figures])
    with write_atomically(folder / ACTORS) as file:
        file.write(text.getvalue().encode())
    return folder / ACTORS


def actor_lines(results: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> list[str]:
    """A line for each driver, with some of the figures over everything, for people."""
    width = max(map(len, results))
    return [
        f"{actor:{width}s} | " + " | ".join(figure_lines(own, names))
        for actor, own in results.items()
    ]
