"""What a training calls after every update in which episodes ended, one after another."""

import csv
import os
from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from vibe_rl.errors import ConfigError
from vibe_rl.run_dir.files import write_atomically
from vibe_rl.runner.fit import is_false

Payload = Mapping[str, Any]
"""`episode`, from 0, the last one that has ended; `step_metrics` of the update; `eval_metrics` if
an evaluation followed it, else None; `convergence`, what the monitor says; `results_so_far`."""
Callback = Callable[[Payload], object]
"""False, Python's or an array's, and not merely nothing, ends the training."""


class CallbackList:
    """Several callbacks as one, in their order; each is called even if one before says stop.

    Raises:
        ConfigError: one of them is no function.
    """

    def __init__(self, callbacks: Sequence[Callback | None]):
        self.callbacks = [callback for callback in callbacks if callback is not None]
        for callback in self.callbacks:
            if not callable(callback):
                raise ConfigError(f"callback {callback!r}: give a function, or None.")

    def __call__(self, payload: Payload) -> bool:
        """Whether the training may go on."""
        return not any([is_false(callback(payload)) for callback in self.callbacks])


class ProgressPrinter:
    """Prints a line about every so many updates, and about each evaluation.

    Args:
        every: updates between two lines.
        write: what prints them.
    """

    def __init__(self, every: int = 10, write: Callable[[str], object] = print):
        if every < 1:
            raise ConfigError(f"every {every} of ProgressPrinter: give at least 1.")
        self.every, self.write, self._calls = every, write, 0

    def __call__(self, payload: Payload) -> None:
        """Prints what is due."""
        due, self._calls = self._calls % self.every == 0, self._calls + 1
        if due:
            self.write(_step_line(payload))
        if payload["eval_metrics"] is not None:
            self.write(_evaluation_line(payload))


def _step_line(payload: Payload) -> str:
    """An update in one line."""
    metrics, rolling = payload["step_metrics"], payload["convergence"]["rolling"]
    mean = "" if rolling is None else f" | mean {rolling:6.1f}"
    speed = metrics.get("steps_per_second")
    pace = "" if speed is None else f" | {speed:,.0f} steps/s"
    return (
        f"Episode {payload['episode'] + 1:5d} | return {metrics['avg_reward']:6.1f}{mean} | "
        f"policy loss {metrics['policy_loss']:8.4f} | value loss {metrics['value_loss']:8.3f} | "
        f"entropy {metrics['entropy']:5.3f}{pace}"
    )


def _evaluation_line(payload: Payload) -> str:
    """An evaluation in one line."""
    scores = payload["eval_metrics"]
    spread = f"min {scores['min_reward']:.0f}, max {scores['max_reward']:.0f}"
    return (
        f"Episode {payload['episode'] + 1:5d} | evaluation {scores['avg_reward']:.1f} ± "
        f"{scores['std_reward']:.1f} ({spread})"
    )


def _flat(payload: Payload) -> dict[str, Any]:
    """The single numbers of a payload, those of an evaluation as `eval_*`."""
    scores = payload["eval_metrics"] or {}
    named = {f"eval_{name}": value for name, value in scores.items()}
    all_of_them = {"episode": payload["episode"], **payload["step_metrics"], **named}
    return {name: x for name, x in all_of_them.items() if isinstance(x, int | float | None)}


EVALUATED = ("avg_reward", "std_reward", "max_reward", "min_reward", "avg_length", "success_rate")
"""What a table has of an evaluation, as `eval_*`."""


class CSVCallback:
    """Writes a table with a line for each update, flushed at once.

    A table that exists is continued: lines from the next episode on are written anew.

    Args:
        path: of the file; its folder is made.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        self._columns: list[str] | None = None

    def __call__(self, payload: Payload) -> None:
        """Writes a line."""
        row = _flat(payload)
        if self._columns is None:
            self._columns = self._begin(row)
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self._columns, extrasaction="ignore").writerow(row)

    def _begin(self, row: Mapping[str, Any]) -> list[str]:
        """The columns, once the file holds them and the lines of earlier episodes."""
        columns, kept = list(dict.fromkeys([*row, *(f"eval_{x}" for x in EVALUATED)])), []
        if self.path.exists():
            with self.path.open(newline="", encoding="utf-8") as file:
                reader = csv.DictReader(file)
                kept = [old for old in reader if int(old["episode"]) < row["episode"]]
                columns = list(reader.fieldnames or columns) if kept else columns
        text = StringIO(newline="")
        writer = csv.DictWriter(text, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(kept)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(self.path) as file:
            file.write(text.getvalue().encode())
        return columns
