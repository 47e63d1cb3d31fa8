"""Agents at play: watched in a terminal, recorded as films, inspected step by step, joined.

`watch(find("runs/..."))` shows episodes; `record`, `inspect` and `play` are the other commands.
"""

from vibe_rl.watching.deciding import Choice, Decision
from vibe_rl.watching.games import Game, Moment, open_game
from vibe_rl.watching.subjects import LOADERS, Subject, Wanted, find, newest_run
from vibe_rl.watching.watch import watch

__all__ = [
    "LOADERS",
    "Choice",
    "Decision",
    "Game",
    "Moment",
    "Subject",
    "Wanted",
    "find",
    "newest_run",
    "open_game",
    "watch",
]
