"""Lines of Python's logger `vibe_rl`, which stand above a progress line if there is one."""

import logging
import sys
from collections.abc import Mapping
from typing import Any

from tqdm import tqdm
from typing_extensions import override

LOGGER = "vibe_rl"
LINE = "%(levelname).1s %(asctime)s.%(msecs)03d %(message)s"  # I 14:03:22.123 message


class _Handler(logging.StreamHandler):
    """Writes to the present `sys.stderr`, above a progress line if there is one."""

    @override
    def emit(self, record: logging.LogRecord) -> None:
        try:
            tqdm.write(self.format(record), file=sys.stderr)
        except Exception:
            self.handleError(record)


def setup_logging(level: int = logging.INFO) -> logging.Logger:
    """Send the logger "vibe_rl" to stderr, once however often called, and set its level."""
    logger = logging.getLogger(LOGGER)
    if not any(isinstance(handler, _Handler) for handler in logger.handlers):
        handler = _Handler()
        handler.setFormatter(logging.Formatter(LINE, "%H:%M:%S"))
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
    line = f"step {step}/{total_steps} ({step / max(total_steps, 1):.1%})"
    shown = {k: v for k, v in (metrics or {}).items() if k not in ("step", "wall_time")}
    if shown:
        line += " | " + " ".join(f"{key}={metric_text(value)}" for key, value in shown.items())
    logging.getLogger(logger_name).info(line)


def metric_text(value: Any) -> str:
    """A number with four digits; anything else as it prints."""
    try:
        return f"{float(value):,.4g}"
    except (TypeError, ValueError):
        return str(value)
