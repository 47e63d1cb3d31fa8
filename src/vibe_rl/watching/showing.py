"""Watching an agent play: on a terminal with keys to hold and to step, or as lines of text."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf

from vibe_rl.env.pictures.cells import Cells, Picture
from vibe_rl.errors import ConfigError
from vibe_rl.types import Key
from vibe_rl.watching.deciding import Decision
from vibe_rl.watching.episodes import turns
from vibe_rl.watching.games import Game, Moment
from vibe_rl.watching.layout import screen
from vibe_rl.watching.lines import end_line, step_line
from vibe_rl.watching.panel import panel
from vibe_rl.watching.subjects import Subject, check_same_end
from vibe_rl.watching.terminal import Terminal, is_interactive

FASTER = 1.5
"""What a key changes the speed by."""
SLOWEST, FASTEST = 0.1, 1000.0  # env steps a second
AT_THE_END = 2.0
"""Seconds for which the end of an episode is shown."""


@dataclass
class Pace:
    """How fast an episode is shown; keys change it."""

    speed: float | int  # env steps a second
    paused: bool = False
    until: float = field(default=0.0)

    def begin(self, seconds: float | int) -> None:
        """A moment that is shown for so long from now on."""
        self.until = time.monotonic() + seconds

    @property
    def left(self) -> float | None:
        """Seconds until the next moment is due; None: never."""
        return None if self.paused else max(self.until - time.monotonic(), 0.0)

    def faster(self, factor: float | int) -> None:
        """Another speed from the next moment on."""
        self.speed = min(max(self.speed * factor, SLOWEST), FASTEST)


def watch(
    subject: Subject,
    *,
    episodes: int = 3,
    speed: float | int = 10.0,
    seed: int | None = None,
    max_steps: int | None = None,
) -> None:
    """Shows episodes on the terminal, or prints them where there is none.

    Args:
        subject: who plays.
        episodes: how many.
        speed: env steps a second, on a terminal.
        seed: of the episodes; None takes those of the evaluation at the checkpoint's step.
        max_steps: env steps after which an episode is cut short; None takes the run's limit.

    Raises:
        ConfigError: an argument cannot work.
    """
    check_positive(episodes=episodes, speed=speed, max_steps=max_steps)
    keys, limit = subject.keys(episodes, seed), max_steps or subject.max_steps
    with subject.open() as game:
        if is_interactive():
            on_terminal(subject, game, keys, limit, Pace(speed))
            return
        for number, key in enumerate(keys, 1):
            print_episode(subject, game, number, key, limit)


def check_positive(**values: float | int | None) -> None:
    """Raises ConfigError for a number that is not above 0; None is allowed."""
    for name, value in values.items():
        if value is not None and not 0 < value < inf:
            raise ConfigError(f"{name} {value}: give a number above 0.")


def print_episode(subject: Subject, game: Game, number: int, key: Key, max_steps: int) -> None:
    """A line for each step, and one for the end."""
    names, before = subject.action_names, None
    for moment, decision in turns(game, subject.decide, key, max_steps):
        if before is not None:
            print(step_line(*before, moment, names), flush=True)
        if decision is None:
            check_same_end(subject, moment)
            print(end_line(number, moment), flush=True)
        before = None if decision is None else (moment, decision)


def on_terminal(
    subject: Subject, game: Game, keys: Sequence[Key], max_steps: int, pace: Pace
) -> None:
    """Shows episodes until they are over or nobody wants more; their lines remain on the screen."""
    ends: list[Moment] = []
    first = game.begin(keys[0])  # compiles before the screen changes
    game.step(subject.decide(first, keys[0]).action)
    with Terminal() as terminal:
        for number, key in enumerate(keys, 1):
            shown = Shown(subject, f"episode {number} of {len(keys)}", terminal, pace)
            wish, moment = show_episode(shown, game, key, max_steps)
            ends.append(moment)
            if wish == "quit":
                break
    for number, moment in enumerate(ends, 1):
        check_same_end(subject, moment)
        print(end_line(number, moment))


def show_episode(shown: "Shown", game: Game, key: Key, max_steps: int) -> tuple[str, Moment]:
    """One episode on the terminal; what is wanted next, `next` or `quit`, and its last moment."""
    for moment, decision in turns(game, shown.subject.decide, key, max_steps):
        shown.pace.begin(1 / shown.pace.speed if decision else AT_THE_END)
        wish = shown.show(moment, decision)
        if wish != "step" or decision is None:
            break
    return ("quit" if wish == "quit" else "next"), moment


@dataclass
class Shown:
    """An episode on a terminal."""

    subject: Subject
    title: str
    terminal: Terminal
    pace: Pace

    def show(self, moment: Moment, decision: Decision | None) -> str:
        """Shows a moment until it is over: `step`, or what a key asks for, `next` or `quit`."""
        picture, trouble = picture_or_reason(moment.picture)
        draw = self._drawer(picture, trouble, moment, decision)
        self.terminal.draw(draw)
        while True:
            key = self.terminal.key(self.pace.left)
            if key is None:
                return "step"
            wish = self._answer(key)
            if wish:
                return wish
            self.terminal.draw(draw)

    def _drawer(
        self, picture: Picture | None, trouble: str, moment: Moment, decision: Decision | None
    ) -> Callable[[tuple[int, int]], Cells]:
        rows = panel(self.title, moment, decision, self.subject.action_names)
        colour = self.terminal.look.colours > 0 and self.terminal.look.unicode

        def draw(size: tuple[int, int]) -> Cells:
            return screen(picture, rows, trouble or self._foot(), size, colour)

        return draw

    def _foot(self) -> str:
        pace = "paused" if self.pace.paused else f"{self.pace.speed:.3g} steps/s"
        keys = "space pause, n step, + - speed, r next episode, q quit"
        return f"{pace} | {keys} | {self.subject.title}"

    def _answer(self, key: str) -> str:
        """Does what a key asks for; `next`, `step`, `quit` or nothing."""
        if key in ("q", "Q", "ESC", "EOF"):
            return "quit"
        if key == " ":
            self.pace.paused = not self.pace.paused
        elif key in "+=":
            self.pace.faster(FASTER)
        elif key in "-_":
            self.pace.faster(1 / FASTER)
        elif key == "n":
            self.pace.paused = True
        return {"n": "step", "r": "next"}.get(key, "")


def picture_or_reason(picture: Callable[[], Picture]) -> tuple[Picture | None, str]:
    """A picture, or None and the sentence why there is none."""
    try:
        return picture(), ""
    except ConfigError as error:
        return None, str(error)
