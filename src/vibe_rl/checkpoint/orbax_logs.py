"""Filters what Orbax logs."""

import logging

NEEDLESS = ("tracked_metric", 'Item "metrics" was found')
"""Warnings that a checkpoint has no metrics, or that loading one leaves its metrics unread."""


def quieten_orbax() -> None:
    """Hides needless messages, and failures, which saving and waiting raise as exceptions."""
    for name in ("absl", "asyncio"):
        logging.getLogger(name).addFilter(worth_reading)  # a second time does nothing


def worth_reading(record: logging.LogRecord) -> bool:
    """Whether a message is neither needless nor raised as an exception too."""
    text = record.getMessage()
    of_orbax = "orbax" in record.pathname or "orbax" in text
    failure = of_orbax and record.levelno >= logging.ERROR
    return not failure and not any(words in text for words in NEEDLESS)
