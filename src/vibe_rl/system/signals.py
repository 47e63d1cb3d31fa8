"""Ctrl-C and SIGTERM as a request to stop, which the loop checks between two chunks."""

import signal
import threading
from types import FrameType


class StopRequest:
    """In its block, the first SIGINT or SIGTERM sets `requested`; the second acts as outside.

    Outside the main thread, where Python allows no handlers, signals are left alone.
    """

    def __init__(self):
        self.requested = False
        self._previous = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._request)
        return self

    def _request(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def __exit__(self, *exception: object) -> None:
        self._restore()
