"""A person at play: keys become actions, turn by turn."""

import string
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Protocol, runtime_checkable

import jax
import numpy as np

from vibe_rl.env.host import AnyEnvironment
from vibe_rl.env.pictures.cells import Cells, Row, Span
from vibe_rl.errors import ConfigError
from vibe_rl.ops import prng
from vibe_rl.spaces import Discrete
from vibe_rl.system.programs import enable_compilation_cache
from vibe_rl.types import Key, PyTree
from vibe_rl.watching.deciding import action_words, split_legal
from vibe_rl.watching.escapes import PLAIN, Look, lines
from vibe_rl.watching.games import Game, Moment, check_seen, open_game, words_of
from vibe_rl.watching.layout import screen as laid_out
from vibe_rl.watching.lines import end_line
from vibe_rl.watching.panel import NAME, panel
from vibe_rl.watching.showing import picture_or_reason
from vibe_rl.watching.terminal import Terminal, is_interactive

QUIT = ("q", "ESC", "EOF")
LETTERS = string.digits + "".join(x for x in string.ascii_letters if x != "q")
"""The keys of actions for which an environment names none."""
SIZE = (80, 24)
"""Of frames that are printed: columns and lines."""
AFTERWARDS = "the episode is over: any key begins the next one, q quits"
"""What is said at the end of an episode."""


@dataclass(frozen=True)
class Keyboard:
    """Which key stands for which action."""

    actions: Mapping[str, int]
    names: tuple[str, ...]  # of the actions, or empty
    space: Discrete

    def legend(self, moment: Moment) -> list[Row]:
        """A row for each action that is legal: its keys and its name."""
        rows: list[Row] = []
        for action in np.flatnonzero(self.legal(moment)).tolist():
            keys = [_shown(key) for key, number in self.actions.items() if number == action]
            if keys:
                rows.append((Span(f"{' '.join(keys):{NAME}} {self.name(action)}"),))
        return rows

    def name(self, action: int) -> str:
        """What an action is called."""
        return self.names[action] if self.names else f"action {action}"

    def action(self, number: int) -> np.ndarray:
        """An action as the environment takes it."""
        return np.asarray(number, self.space.dtype)

    def legal(self, moment: Moment) -> np.ndarray:
        """Which actions are legal now."""
        return split_legal(moment.obs, [self.space.n])[0]

    def refusal(self, key: str, moment: Moment) -> str:
        """Why a key cannot be played now; nothing if it can."""
        if key not in self.actions:
            return f"{key!a} is no key of this game"
        action = self.actions[key]
        return "" if self.legal(moment)[action] else f"{self.name(action)} is not legal now"


def _shown(key: str) -> str:
    """A key as it is called."""
    return "SPACE" if key == " " else key


def keyboard_of(env: AnyEnvironment, env_params: PyTree) -> Keyboard:
    """The keys that an environment names, or digits and letters.

    Raises:
        ConfigError: its actions are not discrete, or it names keys for other actions.
    """
    space = env.action_space(env_params)
    if not isinstance(space, Discrete):
        raise ConfigError(f"actions {space} have no keys: play an environment with Discrete ones.")
    actions = words_of(env, "keys", None)
    if actions is None:
        if space.n > len(LETTERS):
            raise ConfigError(f"{space.n} actions are more than there are keys: give it keys().")
        actions = dict(zip(LETTERS, range(space.n), strict=False))
    odd = [key for key, action in actions.items() if not 0 <= action < space.n or key in QUIT]
    if odd:
        raise ConfigError(f"keys() has {odd[0]!r}: name actions below {space.n}, and no q or ESC.")
    return Keyboard(actions, action_words(env, env_params), space)


@runtime_checkable
class Screen(Protocol):
    """Where a person sees the game, and what is typed there."""

    look: Look
    waiting: str  # typed and not asked for yet

    def draw(self, picture: Callable[[tuple[int, int]], Cells]) -> None:
        """Shows the rows that `picture` makes for a size."""
        ...

    def key(self, timeout: float | int | None = None) -> str | None:
        """The next key, see `Terminal.key`."""
        ...


class Paper:
    """A screen where there is no terminal: frames are printed, letters come from stdin."""

    def __init__(self):
        self.look, self.waiting = PLAIN, ""
        self.reads = True  # whether stdin is asked for more

    def draw(self, picture: Callable[[tuple[int, int]], Cells]) -> None:
        """Prints the rows that are not empty."""
        print("\n".join(filter(None, lines(picture(SIZE)))), flush=True)

    def key(self, timeout: float | int | None = None) -> str | None:
        """The next letter that is no space; `EOF` after the last."""
        while not self.waiting and self.reads:
            line = sys.stdin.readline()
            self.reads, self.waiting = bool(line), "".join(line.split())
        key, self.waiting = self.waiting[:1], self.waiting[1:]
        return key or "EOF"


def play(env: AnyEnvironment, env_params: PyTree, *, seed: int = 0, keys: str = "") -> None:
    """Lets a person play, on the terminal or by letters on stdin.

    Args:
        env: with discrete actions and a picture.
        env_params: its constants.
        seed: of the episodes.
        keys: letters as if they had been typed; without a terminal nothing more is read then.

    Raises:
        ConfigError: it has no picture or no keys.
    """
    check_seen(env)
    keyboard, root = keyboard_of(env, env_params), prng.key(seed)
    enable_compilation_cache()
    with closing(open_game(env, env_params)) as game:
        if is_interactive():
            first = game.begin(root)  # compiles before the screen changes
            game.step(keyboard.action(int(np.argmax(keyboard.legal(first)))))
            with Terminal() as terminal:
                terminal.waiting = keys
                ends = list(episodes(game, keyboard, terminal, root))
        else:
            paper = Paper()
            paper.waiting, paper.reads = keys, not keys
            ends = list(episodes(game, keyboard, paper, root))
    print("\n".join(ends))


def episodes(game: Game, keyboard: Keyboard, screen: Screen, root: Key) -> Iterator[str]:
    """Plays until nobody wants more; a line for each episode."""
    for number in count(1):
        moment, wants_more = _episode(game, keyboard, screen, jax.random.fold_in(root, number))
        yield end_line(number, moment)
        if not wants_more:
            return


def _episode(game: Game, keyboard: Keyboard, screen: Screen, key: Key) -> tuple[Moment, bool]:
    """One episode: its last moment, and whether another one is wanted."""
    moment, said = game.begin(key), ""
    while True:
        screen.draw(partial(_table, moment, keyboard, said, screen.look))
        pressed = screen.key() or ""
        if pressed in QUIT or (moment.done and pressed != "RESIZED"):
            return moment, pressed not in QUIT
        if pressed == "RESIZED":
            continue
        said = keyboard.refusal(pressed, moment)
        if not said:
            moment = game.step(keyboard.action(keyboard.actions[pressed]))


def _table(
    moment: Moment, keyboard: Keyboard, said: str, look: Look, size: tuple[int, int]
) -> Cells:
    """What a person sees."""
    picture, trouble = picture_or_reason(moment.picture)
    rows = panel("your turn", moment, None, (), () if moment.done else keyboard.legend(moment))
    foot = AFTERWARDS if moment.done else said or trouble or "press a key of the list, q quits"
    return laid_out(picture, rows, foot, size, colour=look.unicode)
