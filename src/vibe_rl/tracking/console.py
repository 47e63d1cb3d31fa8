"""What a person sees while a run goes: a progress line on a terminal, plain lines in a file.

Every display is told of every row and shows one now and then, so a call costs about a microsecond.
"""

import logging
import math
import os
import shutil
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from tqdm import tqdm

LOGGER = "vibe_rl"
LABELS = {"episode_return": "return", "episode_return_mean": "return", "eval_return": "eval"}
"""What a display shows, and as what; of two with one label the later."""
_FIXED_LETTERS = 39  # of the progress line: without prefix, bar, step/total and metrics


class _Handler(logging.StreamHandler):
    """Writes to the stderr of the moment, above a progress line if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            tqdm.write(self.format(record), file=sys.stderr)
        except Exception:
            self.handleError(record)


class _Formatter(logging.Formatter):
    """`I 14:03:22.123 message`: the first letter of the level, the time to the millisecond."""

    default_time_format = "%H:%M:%S"
    default_msec_format = "%s.%03d"

    def format(self, record: logging.LogRecord) -> str:
        return f"{record.levelname[0]} {self.formatTime(record)} {super().format(record)}"


def setup_logging(level: int = logging.INFO) -> logging.Logger:
    """Send the logger "vibe_rl" to stderr, once however often called, and set its level."""
    logger = logging.getLogger(LOGGER)
    if not any(isinstance(handler, _Handler) for handler in logger.handlers):
        handler = _Handler()
        handler.setFormatter(_Formatter())
        logger.addHandler(handler)
    logger.propagate = False
    logger.setLevel(level)
    return logger


def log_step_progress(
    step: int,
    total_steps: int,
    metrics: Mapping[str, Any] | None = None,
    logger_name: str = LOGGER,
) -> None:
    """Log one line, `step 50/200 (25.0%) | loss=0.1 ...`; `step` and `wall_time` are left out."""
    parts = [f"step {step}/{total_steps} ({_percent(step, total_steps):.1f}%)"]
    shown = {k: v for k, v in (metrics or {}).items() if k not in ("step", "wall_time")}
    if shown:
        parts.append(" ".join(f"{key}={_text(value)}" for key, value in shown.items()))
    logging.getLogger(logger_name).info(" | ".join(parts))


class _Display:
    """Remembers the newest values and shows them at most once per `interval` seconds."""

    def __init__(self, total: int, interval: float):
        self.total = total
        self._step = 0
        self._interval = interval
        self._due = -math.inf  # seconds on the monotonic clock
        self._pending = self._closed = False
        self._latest: dict[str, Any] = {}

    def update(self, step: int, metrics: Mapping[str, Any] | None = None) -> None:
        """Note that `step` is reached; an absent or NaN metric keeps its last value on display."""
        self._step, self._pending = step, True
        metrics = metrics or {}
        for key in LABELS:
            value = metrics.get(key)
            if value is not None and not math.isnan(value):
                self._latest[key] = value
        if time.monotonic() >= self._due:
            self._flush()

    def status(self, text: str) -> None:
        """Show `text`, such as "compiling ...", at once."""
        raise NotImplementedError

    def close(self) -> None:
        """Show what was held back and end the display; a second call does nothing."""
        if self._closed:
            return
        if self._pending:
            self._flush()
        self._closed = True
        self._finish()

    def __enter__(self):
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _flush(self) -> None:
        self._due = time.monotonic() + self._interval
        self._pending = False
        known = {LABELS[key]: self._latest[key] for key in LABELS if key in self._latest}
        self._show([f"{label} {_text(value)}" for label, value in known.items()])

    def _show(self, metrics: list[str]) -> None:
        raise NotImplementedError

    def _finish(self) -> None:
        pass


class _Bar(tqdm):
    monitor_interval = 0  # no watching thread: updates are forced


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
        self._prefix = f"{prefix}: " if prefix else ""
        self._bar_width, self._compiled = bar_width, False
        self._bar = _Bar(
            total=total,
            initial=initial,
            desc=self._prefix,
            file=sys.stderr,
            bar_format=self._format(""),
            unit=" steps",
            unit_scale=True,
            mininterval=0,
            miniters=0,
            dynamic_ncols=True,
        )

    def status(self, text: str) -> None:
        """Show `text`, such as "compiling ...", in the place of the metrics until `update`."""
        self._put(text)
        self._bar.refresh()

    def _show(self, metrics: list[str]) -> None:
        self._put(", ".join(metrics))
        if self._compiled:
            self._bar.update(min(self._step, self.total) - self._bar.n)
        else:
            self._start_clock()

    def _put(self, text: str) -> None:
        self._bar.set_postfix_str(text, refresh=False)
        self._bar.bar_format = self._format(text)

    def _start_clock(self) -> None:
        """Show the first steps without counting the time of their compilation in steps/s."""
        self._compiled = True
        self._bar.n = self._bar.last_print_n = min(self._step, self.total)
        self._bar.last_print_t = time.time()
        self._bar.refresh()

    def _format(self, text: str) -> str:
        letters = _FIXED_LETTERS + len(f"{self._prefix}{self.total:,}{self.total:,}{text}")
        room = shutil.get_terminal_size().columns - letters
        name, done = ("{desc}", "{n:,}/{total:,}") if room >= 4 else ("", "{n_fmt}/{total_fmt}")
        bar = f"{{percentage:3.0f}}%|{{bar:{max(min(self._bar_width, room), 4)}}}|"
        return f"{name}{bar} {done} [{{elapsed}}<{{remaining}}, {{rate_fmt}}{{postfix}}]"

    def _finish(self) -> None:
        self._bar.close()


class _Lines(_Display):
    """The same facts as plain lines, for a file, a pipe or a batch queue."""

    def __init__(self, total: int, prefix: str, interval: float):
        super().__init__(total, interval)
        self._prefix = prefix
        self._began = time.monotonic()
        self._last: tuple[int, float] | None = None  # step and second of the line before

    def status(self, text: str) -> None:
        print(self._prefixed(text), file=sys.stderr, flush=True)

    def _show(self, metrics: list[str]) -> None:
        done = f"step {self._step:,}/{self.total:,} ({_percent(self._step, self.total):.0f}%)"
        parts = [done, *self._clock(time.monotonic()), *metrics]
        print(self._prefixed(" | ".join(parts)), file=sys.stderr, flush=True)

    def _clock(self, now: float) -> list[str]:
        elapsed = tqdm.format_interval(now - self._began)
        before, self._last = self._last, (self._step, now)
        if before is None or now <= before[1] or self._step <= before[0]:
            return [elapsed]
        rate = (self._step - before[0]) / (now - before[1])
        left = tqdm.format_interval(max(self.total - self._step, 0) / rate)
        return [f"{elapsed}<{left}", f"{tqdm.format_sizeof(rate)} steps/s"]

    def _prefixed(self, text: str) -> str:
        return f"{self._prefix}: {text}" if self._prefix else text


class ConsoleTracker:
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
            self._display: _Display = TrainingProgress(total_steps, prefix, initial=initial)
        else:
            self._display = _Lines(total_steps, prefix, line_interval)

    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        """Show progress at `step` and the returns among `metrics`."""
        self._display.update(step, metrics)

    def status(self, text: str) -> None:
        """Show `text`, such as "compiling ...", until the next metrics."""
        self._display.status(text)

    def log_config(self, config: Mapping[str, Any]) -> None:
        """Show nothing: config.json has it."""

    def log_file(self, path: str | os.PathLike[str]) -> None:
        """Show nothing: a run writes many files."""

    def close(self) -> None:
        """Show the last row if it was held back."""
        self._display.close()


def _percent(step: int, total: int) -> float:
    return 100 * step / max(total, 1)


def _text(value: Any) -> str:
    try:
        return f"{float(value):,.4g}"
    except (TypeError, ValueError):
        return str(value)
