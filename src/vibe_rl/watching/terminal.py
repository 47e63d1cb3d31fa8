"""A terminal as a screen and a keyboard, which is left as it was found whatever happens."""

import os
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TextIO

from vibe_rl.env.pictures.cells import Cells
from vibe_rl.watching.escapes import Look, encoded, look_of

ENTER = "\x1b[?1049h\x1b[?25l\x1b[2J"
"""Another screen, without a cursor, blank."""
LEAVE = "\x1b[0m\x1b[?25h\x1b[?1049l"
KEYS = {
    "\x1b[A": "UP",
    "\x1b[B": "DOWN",
    "\x1b[C": "RIGHT",
    "\x1b[D": "LEFT",
    "\x1bOA": "UP",
    "\x1bOB": "DOWN",
    "\x1bOC": "RIGHT",
    "\x1bOD": "LEFT",
    "\x1b": "ESC",
    "\r": "ENTER",
    "\n": "ENTER",
    "\t": "TAB",
}
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SLICE = 0.1
"""Seconds after which a change of the window's size is noticed."""


def is_interactive() -> bool:
    """Whether both ends of this process are a terminal that can move its cursor."""
    return (
        sys.stdin is not None
        and sys.stdout is not None
        and sys.stdin.isatty()
        and sys.stdout.isatty()
        and os.environ.get("TERM", "dumb") != "dumb"
    )


class Terminal:
    """The process's terminal; a context, in which it shows one screen and gives single keys.

    Signals that would end the process raise in it: `KeyboardInterrupt` for Ctrl-C, `SystemExit` for
    others. Ctrl-Z gives the terminal back until the process goes on.
    """

    def __init__(self, keyboard: TextIO | None = None, display: TextIO | None = None):
        self.keyboard, self.display = keyboard or sys.stdin, display or sys.stdout
        self.look: Look = look_of(os.environ, self.display.encoding)
        self.waiting = ""  # letters that were typed and not asked for yet
        self.before: dict[int, Any] = {}

    def __enter__(self) -> "Terminal":
        self.mode = termios.tcgetattr(self.keyboard)
        try:
            for number in ENDING:
                self.before[number] = signal.signal(number, self._end)
            self.before[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, self._suspend)
            self._take()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._give_back()
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _take(self) -> None:
        tty.setcbreak(self.keyboard)
        self._write(ENTER)
        self.shown_size = self.size

    def _give_back(self) -> None:
        with suppress(OSError, termios.error):  # of a terminal that has gone
            self._write(LEAVE)
            termios.tcsetattr(self.keyboard, termios.TCSADRAIN, self.mode)

    def _end(self, number: int, _: object) -> None:
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)

    def _suspend(self, number: int, _: object) -> None:
        self._give_back()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._take()
        self.shown_size = None  # so that all is drawn anew

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines."""
        try:
            return tuple(os.get_terminal_size(self.display.fileno()))  # type: ignore[return-value]
        except OSError:
            return 80, 24

    def draw(self, picture: Callable[[tuple[int, int]], Cells]) -> None:
        """Shows the rows that `picture` makes for a size."""
        self.shown_size = self.size
        rows = picture(self.shown_size)
        texts = (encoded(row, self.look) for row in rows)
        self._write("".join(f"\x1b[{i};1H\x1b[2K{text}" for i, text in enumerate(texts, 1)))

    def _write(self, text: str) -> None:
        self.display.write(text)
        self.display.flush()

    def key(self, timeout: float | int | None = None) -> str | None:
        """The next key: a letter, or a name such as `UP`, `ENTER` and `ESC`.

        `RESIZED` says that the window has another size, `EOF` that the terminal has gone.

        Args:
            timeout: seconds after which it is None; None waits.
        """
        until = None if timeout is None else time.monotonic() + timeout
        while not self.waiting:
            if self.size != self.shown_size:
                return "RESIZED"
            left = SLICE if until is None else min(SLICE, until - time.monotonic())
            if left <= 0 and not self._typed(0):
                return None
            if self._typed(max(left, 0)) and not self._read():
                return "EOF"
        return self._first()

    def _typed(self, seconds: float | int) -> bool:
        return bool(select.select([self.keyboard], [], [], seconds)[0])

    def _read(self) -> bool:
        try:
            letters = os.read(self.keyboard.fileno(), 1024)
        except OSError:
            return False
        self.waiting += letters.decode(errors="ignore")
        return bool(letters)

    def _first(self) -> str:
        """Takes one key from what was typed."""
        if self.waiting == "\x1b" and self._typed(0.05):
            self._read()
        for code in sorted(KEYS, key=len, reverse=True):
            if self.waiting.startswith(code):
                self.waiting = self.waiting[len(code) :]
                return KEYS[code]
        letter, self.waiting = self.waiting[0], self.waiting[1:]
        return letter
