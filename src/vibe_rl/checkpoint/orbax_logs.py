"""What Orbax logs and need not be read."""

import logging

NEEDLESS = ("tracked_metric", 'Item "metrics" was found')
"""Not every checkpoint of a run was evaluated, and whoever reads arrays reads no metrics."""


def quieten_orbax() -> None:
    """Leaves out what is needless, and failures, which saving and waiting raise too."""
    for name in ("absl", "asyncio"):
        logging.getLogger(name).addFilter(worth_reading)  # a second time does nothing


def worth_reading(record: logging.LogRecord) -> bool:
    """Whether it is said nowhere else."""
    text = record.getMessage()
    of_orbax = "orbax" in record.pathname or "orbax" in text
    failure = of_orbax and record.levelno >= logging.ERROR
    return not failure and not any(words in text for words in NEEDLESS)
