"""Environments of NAVIX (Pignatelli et al. 2024, arXiv:2407.19396), MiniGrid's in JAX.

They end at the goal, in lava or at a ball, and are truncated after `max_steps`, 100 by default as
there.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vibe_rl.env.adapters.conversions import strong
from vibe_rl.env.adapters.suite_calls import (
    Arguments,
    as_suites_expect,
    check_name,
    copied,
    frozen,
    in_types_of,
    making,
    suite_module,
)
from vibe_rl.env.base import Environment, Step
from vibe_rl.env.checks.traced import result_shapes
from vibe_rl.errors import unknown
from vibe_rl.spaces import Board, Box, Discrete, Image
from vibe_rl.types import Key, PyTree

SYMBOLS = (10, 5, 3)
"""The largest numbers of a cell: thing, colour, and state or direction."""
OF_KEY_CORRIDORS = (10, 5, 255)
"""The same where NAVIX 0.7.4 says of a locked door that it is 254."""
OBSERVATIONS = (
    "symbolic",
    "symbolic_first_person",
    "categorical",
    "categorical_first_person",
    "rgb",
    "rgb_first_person",
)
"""What the suite can show of a state, by its own names."""


@dataclass(frozen=True)
class NavixEnvironment:
    """One of NAVIX's, made with `arguments`, that shows one of `OBSERVATIONS`."""

    env_id: str
    arguments: Arguments = ()
    observation: str = "symbolic"

    @property
    def suite_env(self) -> Any:
        """The suite's own environment."""
        return _built(self.env_id, self.observation, self.arguments)

    def default_params(self) -> tuple[()]:
        """Nothing, `()`: constants are arguments of the suite's own class."""
        return ()

    def observation_space(self, params: PyTree) -> Board | Box | Image:
        """A board of symbols, a matrix of things, or a picture."""
        seen = result_shapes(self, "reset", jax.random.key(0), ())[0]
        if self.observation.startswith("rgb"):
            return Image(*seen.shape)
        if self.observation.startswith("symbolic"):
            symbols = OF_KEY_CORRIDORS if "KeyCorridor" in self.env_id else SYMBOLS
            return Board(0, np.array(symbols), seen.shape, seen.dtype)
        return Box(-1, SYMBOLS[0], seen.shape, seen.dtype)

    def action_space(self, params: PyTree) -> Discrete:
        """MiniGrid's actions."""
        return Discrete(len(self.suite_env.action_set))

    def reset(self, key: Key, params: PyTree) -> tuple[PyTree, PyTree]:
        """The suite's reset; its timestep is our state."""
        with as_suites_expect():
            timestep = strong(self.suite_env.reset(jax.random.key_data(key)))
        return timestep.observation, timestep

    def step(self, key: Key, state: PyTree, action: PyTree, params: PyTree) -> Step:
        """One step of the suite, which draws from a key in its state, not from this one."""
        with as_suites_expect():
            after = self.suite_env._step(copied(state), action)  # `step` would reset by itself
            after = in_types_of(after, state)
            terminated, truncated = after.is_termination(), after.is_truncation()
        reward = after.reward.astype(jnp.float32)
        return Step(after.observation, after, reward, terminated, truncated, {})


def make(name: str, observation: str = "symbolic", **kwargs: Any) -> tuple[Environment, tuple[()]]:
    """One of NAVIX's environments, such as `"Navix-DoorKey-8x8-v0"`, and no params.

    Args:
        name: one of `names()`.
        observation: one of `OBSERVATIONS`.
        **kwargs: arguments of the suite's class, such as `max_steps`.

    Raises:
        ConfigError: NAVIX is not installed, has no such environment or observation, or refuses an
            argument.
    """
    check_name("navix", name, names())
    if observation not in OBSERVATIONS:
        raise unknown("observation", observation, OBSERVATIONS)
    env = NavixEnvironment(name, frozen(kwargs), observation)
    env.suite_env  # noqa: B018 - what NAVIX refuses is refused here
    return env, ()


def names() -> tuple[str, ...]:
    """The names of NAVIX's environments."""
    return tuple(sorted(_navix().registry()))


def _navix() -> Any:
    return suite_module("navix", "navix", "NAVIX's environments")


@cache
def _built(name: str, observation: str, arguments: Arguments) -> Any:
    with making(f"navix:{name}"):
        shown = getattr(_navix().observations, observation)
        return _navix().make(name, observation_fn=shown, **dict(arguments))
