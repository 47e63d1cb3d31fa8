"""Episodes as their key and their actions: a small file from which each can be played again."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vibe_rl.errors import ConfigError, shown
from vibe_rl.ops import prng
from vibe_rl.run_dir.files import write_atomically
from vibe_rl.spaces import Space
from vibe_rl.types import Key
from vibe_rl.watching.deciding import Decide, Decision
from vibe_rl.watching.games import Game, Moment

FORMAT = "vibe_rl episode 1"
ACTING = np.uint32(2**31)
"""Folded into an episode's key it gives that of the actions that are drawn."""


@dataclass(frozen=True)
class SavedEpisode:
    """One episode, as it is kept."""

    env_id: str
    env_kwargs: Mapping[str, Any]
    key: list[int]  # the two words of the episode's key
    actions: list[Any]
    episode_return: float  # undiscounted
    length: int  # env steps
    finished: bool  # whether it ended before the limit of steps
    about: str = ""  # who played
    format: str = field(default=FORMAT)


def turns(
    game: Game, decide: Decide, key: Key, max_steps: int
) -> Iterator[tuple[Moment, Decision | None]]:
    """Plays an episode: each moment and what is decided there, None at the end.

    Args:
        game: which is stepped as the iterator is.
        decide: who plays.
        key: of the episode.
        max_steps: env steps after which it is cut short.
    """
    acting, moment = jax.random.fold_in(key, ACTING), game.begin(key)
    while not moment.done and moment.number < max_steps:
        decision = decide(moment, jax.random.fold_in(acting, moment.number))
        yield moment, decision
        moment = game.step(decision.action)
    yield moment, None


def play_unseen(
    game: Game, decide: Decide, key: Key, max_steps: int, env: tuple[str, Mapping[str, Any]]
) -> SavedEpisode:
    """An episode without pictures.

    Args:
        game: see `turns`.
        decide: see `turns`.
        key: see `turns`.
        max_steps: see `turns`.
        env: id and arguments of what is played, as the file names it.
    """
    actions: list[Any] = []
    for moment, decision in turns(game, decide, key, max_steps):
        if decision is not None:
            actions.append(np.asarray(decision.action).tolist())
            continue
        end = moment.episode_return, moment.number, moment.done
        return SavedEpisode(env[0], env[1], words_of_key(key), actions, *end)
    raise AssertionError("the last decision of an episode is None")


def scripted(saved: SavedEpisode, space: Space) -> Decide:
    """Plays the actions of an episode, in the type that the action space has."""
    dtype = getattr(space, "dtype", np.float32)

    def decide(moment: Moment, key: Key) -> Decision:
        return Decision(np.asarray(saved.actions[moment.number], dtype))

    return decide


def words_of_key(key: Key) -> list[int]:
    """The two words of a key."""
    return np.asarray(jax.random.key_data(key)).tolist()


def with_key(words: list[int]) -> Key:
    """The key with these words."""
    return jax.random.wrap_key_data(jnp.asarray(words, jnp.uint32), impl=prng.implementation())


def write_episode(saved: SavedEpisode, path: Path) -> None:
    """Writes an episode as JSON.

    Raises:
        ConfigError: the file cannot be written.
    """
    with write_atomically(path) as file:
        file.write(json.dumps(asdict(saved)).encode() + b"\n")


def read_episode(path: Path) -> SavedEpisode:
    """An episode from its file.

    Raises:
        ConfigError: it is none.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        names = {each.name for each in fields(SavedEpisode)}
        if found["format"] != FORMAT or set(found) != names or len(found["key"]) != 2:
            raise KeyError
    except (OSError, ValueError, KeyError, TypeError):
        raise ConfigError(
            f"{shown(path)} is no recorded episode: name a .json that vibe-rl record wrote."
        ) from None
    return SavedEpisode(**found)
