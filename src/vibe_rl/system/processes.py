"""What several processes that train together agree on, through JAX's own distributed runtime.

Every process runs the same program on its own devices. What only one may do, such as writing a log,
the first does; where clocks or signals decide, the processes agree.
"""

import traceback
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

from vibe_rl.errors import ConfigError, NonFiniteLossError, reason
from vibe_rl.system.cluster import end_process

Result = TypeVar("Result")

FAILED = 3
"""Exit status of a process that fails or loses another."""


@contextmanager
def end_if_alone() -> Iterator[None]:
    """Ends this process at once if it is one of several and fails: the others would wait for it.

    It fails too when another is lost. A loss that is not finite is so for all, and raised as ever.
    """
    try:
        yield
    except NonFiniteLossError:
        raise
    except BaseException as error:
        if jax.process_count() == 1:
            raise
        traceback.print_exc()
        why = f"{type(error).__name__}: {reason(error)}"
        here = f"process {jax.process_index()} of {jax.process_count()}"
        end_process(
            f"{here} failed or lost another ({why}): all end, resume from the last checkpoint.",
            FAILED,
        )


def is_first() -> bool:
    """Whether this process is the one that writes files and prints."""
    return jax.process_index() == 0


def greatest(value: int) -> int:
    """The greatest that any process gave; all wait for each other here."""
    if jax.process_count() == 1:
        return int(value)
    return int(np.max(multihost_utils.process_allgather(np.asarray(value, np.int32))))


def wait_for_all() -> None:
    """Returns when every process is here."""
    greatest(0)


def run_together(function: Callable[[], Result], here: bool = True) -> Result | None:
    """Its result; where it fails in one process, it fails in all.

    Args:
        function: must not wait for other processes.
        here: whether this process has a part in it.
    """
    error, result = None, None
    try:
        result = function() if here else None
    except Exception as failed:  # whatever it is, the others must not wait for ever
        error = failed
    if greatest(error is not None):
        raise error or ConfigError("another process failed: see its own message.")
    return result


def run_on_first(function: Callable[[], object]) -> None:
    """Calls it in the first process while the others wait; if it fails, all do."""
    run_together(function, is_first())


def broadcast_text(function: Callable[[], str]) -> str:
    """The text that the function gives in the first process, sent to all."""
    text = run_together(function, is_first()) or ""
    if jax.process_count() == 1:
        return text
    letters = np.frombuffer(text.encode(), np.uint8)
    room = np.zeros(greatest(len(letters)), np.uint8)
    room[: len(letters)] = letters
    return bytes(multihost_utils.broadcast_one_to_all(room)).decode()


def check_same(what: str, text: str) -> None:
    """Raises ConfigError if the processes were not given the same."""
    checksum = zlib.crc32(text.encode()) >> 1  # of 31 bits
    if greatest(checksum) != -greatest(-checksum):
        raise ConfigError(f"{what} are not the same in all processes: give all the same.")
