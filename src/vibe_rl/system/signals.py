"""Ctrl-C and SIGTERM as a request to stop, which the loop checks between two chunks."""

import signal
import threading
from types import FrameType
from typing import TypeVar

from vibe_rl.errors import TrainingInterrupted

Result = TypeVar("Result")


class StopRequest:
    """In its block, the first SIGINT or SIGTERM sets `requested`; the second acts as outside.

    Outside the main thread, where Python allows no handlers, signals are left alone.
    """

    def __init__(self):
        self.requested = False  # by a signal, or by whoever sets it
        self.signal = 0  # its number, if it was a signal
        self._previous = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._request)
        return self

    def _request(self, number: int, frame: FrameType | None) -> None:
        self.requested, self.signal = True, number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def __exit__(self, *exception: object) -> None:
        self._restore()


def unless_interrupted(result: Result, number: int) -> Result:
    """The result of a call that trains; TrainingInterrupted with it if a signal asked to stop.

    Args:
        result: what the call returns.
        number: of the signal, or 0.
    """
    if number:
        raise TrainingInterrupted(result, number)
    return result
