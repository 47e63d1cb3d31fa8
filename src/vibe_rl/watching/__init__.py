"""Agents at play: watched in a terminal, recorded as films, inspected step by step, joined.

`watch(find("runs/..."))` shows episodes; `film_episodes`, `inspect` and `play` are the rest.
"""

from vibe_rl.watching.deciding import Choice, Decision
from vibe_rl.watching.filming import Film, Which, film_episodes
from vibe_rl.watching.games import Game, Moment, open_game
from vibe_rl.watching.human import play
from vibe_rl.watching.inspecting import inspect
from vibe_rl.watching.showing import watch
from vibe_rl.watching.subjects import LOADERS, Subject, Wanted, find, newest_run

__all__ = [
    "LOADERS",
    "Choice",
    "Decision",
    "Film",
    "Game",
    "Moment",
    "Subject",
    "Wanted",
    "Which",
    "film_episodes",
    "find",
    "inspect",
    "newest_run",
    "open_game",
    "play",
    "watch",
]
