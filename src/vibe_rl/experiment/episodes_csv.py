"""The episodes of evaluations as a file for spreadsheets: one row an episode."""

import csv
import io
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from vibe_rl.errors import ConfigError
from vibe_rl.run_dir.files import write_atomically
from vibe_rl.runner.evaluator import EvalMetrics

AnyPath = str | os.PathLike[str]


def check_csv_writable(path: AnyPath, overwrite: bool = False) -> None:
    """Raises ConfigError if the file exists and is to stay, or its folder does not."""
    if Path(path).exists() and not overwrite:
        raise ConfigError(f"{path} exists: give another name, or overwrite it.")
    if not Path(path).absolute().parent.is_dir():
        raise ConfigError(f"{path} lies in no folder that exists: make it, or give another name.")


def write_episodes(
    path: AnyPath, scores: Mapping[str, EvalMetrics], overwrite: bool = False
) -> None:
    """Writes every episode: return, length, whether it finished, and what the env says of it.

    Args:
        path: of the file, which appears whole or not at all.
        scores: evaluations by the names of their runs; with several, the first column has the name.
        overwrite: whether a file that is there is replaced.

    Raises:
        ConfigError: see `check_csv_writable`; or the file system refuses.
    """
    check_csv_writable(path, overwrite)
    own = dict.fromkeys(name for each in scores.values() for name in each.episode_metrics)
    names = ["episode", "return", "length", "finished", *own]
    text = io.StringIO()
    writer = csv.DictWriter(
        text, ["run", *names] if len(scores) > 1 else names, lineterminator="\n"
    )
    writer.writeheader()
    for run, each in scores.items():
        for row in _rows_of(each):
            writer.writerow({"run": run, **row} if len(scores) > 1 else row)
    with write_atomically(Path(path)) as file:
        file.write(text.getvalue().encode())


def _rows_of(scores: EvalMetrics) -> list[dict[str, str | int]]:
    """A row for each episode; numbers as short as float32 allows."""
    columns = {
        "return": scores.episode_returns,
        "length": scores.episode_lengths,
        "finished": scores.finished,
        **scores.episode_metrics,
    }
    arrays = {name: np.asarray(column) for name, column in columns.items()}
    indices = range(len(arrays["return"]))
    return [{"episode": i, **{n: str(x[i]) for n, x in arrays.items()}} for i in indices]
