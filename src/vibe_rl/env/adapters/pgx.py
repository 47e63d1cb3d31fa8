"""The games of a single player of pgx (Koyamada et al. 2023): MinAtar and 2048."""

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp

from vibe_rl.env.adapters.conversions import strong
from vibe_rl.env.adapters.suite_calls import as_suites_expect
from vibe_rl.env.base import Step
from vibe_rl.env.params.arguments import build_env
from vibe_rl.errors import ConfigError, unknown
from vibe_rl.extras import require
from vibe_rl.spaces import Box, Discrete, Masked
from vibe_rl.types import Key, MaskedObs, PyTree

MINATAR = "minatar-"
"""What the ids of games begin with that allow every action at all times."""
CLOCKED = ("minatar-freeway",)
"""Games that nothing ends but their clock, of 2500 steps, though pgx calls it a termination."""


def pgx() -> Any:
    """The package; ConfigError if it is not installed."""
    return require("pgx", "pgx", "pgx's games")


@dataclass(frozen=True)
class PgxAdapter:
    """A game of pgx's for one player; two are equal if they hold the same one.

    Its observations carry the legal actions, but in MinAtar, where all are. An illegal one ends a
    game, and costs 1.
    """

    inner: Any  # a pgx.Env

    def __post_init__(self):
        if self.inner.num_players != 1:
            raise ConfigError(
                f"pgx:{self.inner.id} is a game of {self.inner.num_players} players: choose one "
                f"for a single player, {', '.join(names())}."
            )

    @property
    def _masked(self) -> bool:
        return not self.inner.id.startswith(MINATAR)

    def default_params(self) -> tuple[()]:
        """Nothing, `()`: what can be chosen are arguments of the game's class."""
        return ()

    def observation_space(self, params: PyTree) -> Box | Masked:
        """Planes of booleans, `[rows, columns, planes]`; with legal actions, but in MinAtar."""
        state = self._first()
        view = Box(0, 1, state.observation.shape, state.observation.dtype)
        return Masked(view, state.legal_action_mask.size) if self._masked else view

    def action_space(self, params: PyTree) -> Discrete:
        """The game's actions."""
        return Discrete(self._first().legal_action_mask.size)

    @as_suites_expect()
    def _first(self) -> Any:
        return jax.eval_shape(self.inner.init, jax.random.key(0))

    @as_suites_expect()
    def reset(self, key: Key, params: PyTree) -> tuple[PyTree, PyTree]:
        """The first observation and state of a new game."""
        state = strong(self.inner.init(key))
        return self._seen(state), state

    @as_suites_expect()
    def step(self, key: Key, state: PyTree, action: PyTree, params: PyTree) -> Step:
        """One step of the only player; truncated where a clock ends the game."""
        state = strong(self.inner.step(state, action, key))
        reward, over, never = state.rewards[0], state.terminated, jnp.zeros((), bool)
        ends = (never, over) if self.inner.id in CLOCKED else (over, state.truncated)
        return Step(self._seen(state), state, reward.astype(jnp.float32), *ends, {})

    def _seen(self, state: PyTree) -> PyTree:
        if self._masked:
            return MaskedObs(state.observation, state.legal_action_mask)
        return state.observation


def make(name: str, **kwargs: Any) -> tuple[PgxAdapter, tuple[()]]:
    """A game by pgx's id, such as `"minatar-breakout"`, with arguments of its class."""
    if name not in pgx().available_envs():
        raise unknown("game of pgx", name, names())
    return build_env(f"pgx:{name}", partial(_made, name), kwargs, type(_made(name).inner))


def names() -> tuple[str, ...]:
    """The games for one player."""
    games = pgx().available_envs()
    return tuple(game for game in games if game == "2048" or game.startswith(MINATAR))


@lru_cache(maxsize=None, typed=True)
@as_suites_expect()
def _made(name: str, **kwargs: Any) -> PgxAdapter:
    """The same for the same arguments, so that programs are compiled once."""
    game = pgx().make(name)
    return PgxAdapter(type(game)(**kwargs) if kwargs else game)
