"""Progress of a run for people: a line that renews itself on a terminal, plain lines elsewhere.

A display gets every row and shows one now and then, so that a call costs about a microsecond.
"""

import math
import shutil
import sys
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from tqdm import tqdm
from typing_extensions import override

from vibe_rl.tracking.base import Status, Tracker
from vibe_rl.tracking.log_lines import metric_text

LABELS = {"episode_return": "return", "episode_return_mean": "return", "eval_return": "eval"}
"""The metrics that are shown and their labels; of two with one label the later."""
TIMES = "[{elapsed}<{remaining}, {rate_fmt}{postfix}]"
LAYOUTS = (
    "{desc}: {percentage:3.0f}%|{bar}| {n:,}/{total:,} " + TIMES,
    "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} " + TIMES,
)
LEAST_BAR = 4
WORTH_MEASURING = 0.5  # seconds
MEASURED = 10.0  # seconds over which plain lines measure the speed, or since the line before


class _Display:
    """Keeps the newest values and shows them at most once per `interval` seconds."""

    def __init__(self, total: int, interval: float):
        self.total = total
        self._step, self._interval = 0, interval
        self._due = -math.inf  # seconds on the monotonic clock
        self._pending = self._closed = False
        self._latest: dict[str, Any] = {}
        self._speed: float | None = None  # steps per second, if the newest row has it

    def update(self, step: int, metrics: Mapping[str, Any] | None = None) -> None:
        """Note that `step` is reached; an absent or NaN metric keeps its last value on display."""
        self._step, self._pending = step, True
        metrics = metrics or {}
        self._speed = metrics.get("steps_per_second")
        for key in LABELS:
            value = metrics.get(key)
            if value is not None and not math.isnan(value):
                self._latest[key] = value
        if time.monotonic() >= self._due:
            self._flush()

    def close(self) -> None:
        """Show what was held back and end the display; a second call does nothing."""
        if self._pending:
            self._flush()
        self._closed = True

    def __enter__(self):
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _flush(self) -> None:
        self._due, self._pending = time.monotonic() + self._interval, False
        known = {LABELS[key]: self._latest[key] for key in LABELS if key in self._latest}
        self._show([f"{label} {metric_text(value)}" for label, value in known.items()])

    def _show(self, metrics: list[str]) -> None:
        raise NotImplementedError


class _Bar(tqdm):
    """tqdm's line: where it is too long the bar shrinks, then the name goes; the returns stay."""

    monitor_interval = 0  # no watching thread: updates are forced

    def __init__(self, widest: int, **how: Any):
        self.widest = widest
        self.speed: float | None = None
        super().__init__(**how)

    @property
    def format_dict(self) -> dict[str, Any]:
        """What the line is made of; a speed that is known takes the place of tqdm's."""
        known = {} if self.speed is None else {"rate": self.speed}
        return {**super().format_dict, **known}

    def __str__(self) -> str:
        columns, layout, bar = shutil.get_terminal_size().columns - 1, "", 0
        for layout in LAYOUTS:
            bar = min(columns - len(self._line(layout.replace("{bar}", ""))), self.widest)
            if bar >= LEAST_BAR:
                break
        return self._line(layout.replace("{bar}", f"{{bar:{max(bar, LEAST_BAR)}}}"))

    def _line(self, layout: str) -> str:
        return self.format_meter(**{**self.format_dict, "bar_format": layout})


class TrainingProgress(_Display):
    """One self-updating line on stderr: bar, %, step/total, elapsed<remaining, steps/s, returns.

    Args:
        total: Env steps of the whole run.
        prefix: A name in front of the bar.
        bar_width: Characters of the bar, fewer where the terminal is narrow.
        initial: Env steps already done when a run is resumed.
        interval: Least seconds between two refreshes.
    """

    def __init__(
        self,
        total: int,
        prefix: str = "",
        bar_width: int = 30,
        *,
        initial: int = 0,
        interval: float = 0.1,
    ):
        super().__init__(total, interval)
        self._compiled = False
        self._bar = _Bar(
            bar_width,
            total=total,
            initial=initial,
            desc=prefix,
            file=sys.stderr,
            unit=" steps",
            unit_scale=True,
            mininterval=0,
            miniters=0,
        )

    def status(self, text: str) -> None:
        """Show `text`, such as "compiling ...", in the place of the metrics until `update`."""
        self._bar.set_postfix_str(text)

    @override
    def _show(self, metrics: list[str]) -> None:
        self._bar.set_postfix_str(", ".join(metrics), refresh=False)
        self._bar.speed = self._speed
        step = min(self._step, self.total)
        if self._compiled:
            self._bar.update(step - self._bar.n)
            return
        self._compiled = True  # the first steps, and the time they took to compile, make no rate
        self._bar.n = self._bar.last_print_n = step
        self._bar.last_print_t = time.time()
        self._bar.refresh()

    @override
    def close(self) -> None:
        super().close()
        self._bar.close()


class _Lines(_Display):
    """The same values as plain lines, for a file, a pipe or a batch queue."""

    def __init__(self, total: int, prefix: str, interval: float):
        super().__init__(total, interval)
        self._prefix = f"{prefix}: " if prefix else ""
        self._began = time.monotonic()
        self._lines: deque[tuple[int, float]] = deque()  # step and second of the last ones

    def status(self, text: str) -> None:
        print(f"{self._prefix}{text}", file=sys.stderr, flush=True)

    @override
    def _show(self, metrics: list[str]) -> None:
        done = f"step {self._step:,}/{self.total:,} ({self._step / max(self.total, 1):.0%})"
        self.status(" | ".join([done, *self._clock(time.monotonic()), *metrics]))

    def _clock(self, now: float) -> list[str]:
        """Time elapsed and, where the speed is known, time left and the speed."""
        elapsed = tqdm.format_interval(now - self._began)
        rate = self._speed or self._rate(now)
        if not rate:
            return [elapsed]
        left = tqdm.format_interval(max(self.total - self._step, 0) / rate)
        return [f"{elapsed}<{left}", f"{tqdm.format_sizeof(rate)} steps/s"]

    def _rate(self, now: float) -> float | None:
        """The speed over some seconds, since rows of several chunks may come at once."""
        while len(self._lines) > 1 and now - self._lines[1][1] >= MEASURED:
            self._lines.popleft()
        self._lines.append((self._step, now))
        step, since = self._lines[0]
        return (self._step - step) / (now - since) if now - since >= WORTH_MEASURING else None


class ConsoleTracker(Tracker):
    """A tracker for people: a `TrainingProgress` on a terminal, else a line every two seconds.

    The first and the last row are always shown. Config and files are for other trackers.

    Args:
        total_steps: Env steps of the whole run.
        prefix: A name in front of every line.
        initial: Env steps already done when a run is resumed.
        line_interval: Least seconds between two plain lines.
    """

    def __init__(
        self, total_steps: int, prefix: str = "", *, initial: int = 0, line_interval: float = 2.0
    ):
        if sys.stderr.isatty():
            self._display = TrainingProgress(total_steps, prefix, initial=initial)
        else:
            self._display = _Lines(total_steps, prefix, line_interval)

    @override
    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        self._display.update(step, metrics)

    def status(self, text: str) -> None:
        """Show `text`, such as "compiling ...", until the next metrics."""
        self._display.status(text)

    @override
    def close(self, status: Status = "finished") -> None:
        self._display.close()
