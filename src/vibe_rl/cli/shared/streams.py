"""What becomes of notices, of output that nobody reads, and of letters that a terminal lacks."""

import logging
import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def forgiving_output() -> Iterator[None]:
    """In its block, prints `?` for letters that stdout lacks, and ends quietly at a closed pipe.

    Where stdout goes to a disk that is full, one line says so.

    `vibe-rl --help | head` closes one. SIGPIPE is left alone: it would end a run that trains, whose
    checkpoints matter more than the lines that it prints.
    """
    try:
        with replaced_letters(sys.stdout):
            yield
    except BrokenPipeError:
        abandoned = [stream for stream in (sys.stdout, sys.stderr) if is_abandoned(stream)]
        if not abandoned:
            raise  # another pipe, such as that of an env's process
        for stream in abandoned:
            discard(stream)
        raise SystemExit(128 + signal.SIGPIPE) from None
    except OSError as error:
        if error.filename is not None or not is_full(sys.stdout):
            raise
        discard(sys.stdout)
        print(f"vibe-rl: stdout cannot be written ({error.strerror}).", file=sys.stderr)
        raise SystemExit(1) from None


def discard(stream: Any) -> None:
    """Lets what is left in a stream's buffer go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class _AboveProgress(logging.Handler):
    """Writes to the present stderr, above a progress line if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm  # noqa: PLC0415 - few commands have anything to say

        tqdm.write(f"vibe-rl: {record.getMessage()}", file=sys.stderr)


@contextmanager
def shown_notices() -> Iterator[None]:
    """In its block, what the logger "vibe_rl" says is a line of stderr, unless it has handlers."""
    logger, handler = logging.getLogger("vibe_rl"), _AboveProgress(logging.WARNING)
    if logger.handlers:
        yield
        return
    logger.addHandler(handler)
    propagates, logger.propagate = logger.propagate, False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagates


@contextmanager
def replaced_letters(stream: Any) -> Iterator[None]:
    """In its block, a text stream prints `?` for letters that its encoding lacks."""
    if not hasattr(stream, "reconfigure"):  # None where stdout is closed
        yield
        return
    errors = stream.errors
    stream.reconfigure(errors="replace")
    try:
        yield
    finally:
        stream.reconfigure(errors=errors)  # which flushes it


def is_full(stream: Any) -> bool:
    """Whether not even the end of a line can be written to a stream."""
    try:
        if stream is not None:
            print(file=stream, flush=True)
    except OSError:
        return True
    return False


def is_abandoned(stream: Any) -> bool:
    """Whether a stream writes into a pipe whose reader has gone."""
    if stream is None or not hasattr(select, "poll"):  # Windows has none
        return False
    poll = select.poll()
    poll.register(stream.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))
