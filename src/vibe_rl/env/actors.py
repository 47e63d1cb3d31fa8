"""Who can play an environment: a random player, and the scripted ones that it offers.

An actor is a function `actor(obs, env_state, env_params, key) -> action` about one env. `obs` is
what an agent would see, mask included; state and params are those of the environment below all
wrappers, so that one script serves it in any of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from vibe_rl.env.host import AnyEnvironment
from vibe_rl.env.wrappers import Wrapper, layers
from vibe_rl.errors import unknown
from vibe_rl.spaces import Space, random_action
from vibe_rl.types import Key, PyTree, description, static

Actor = Callable[[PyTree, PyTree, PyTree, Key], PyTree]
"""`actor(obs, env_state, env_params, key) -> action`; on the host, state and params are `()`."""
RANDOM = "random"


@description
@dataclass(frozen=True)
class Random:
    """Every action is as likely; of a masked env every legal one."""

    space: Space = static()

    def __call__(self, obs: PyTree, env_state: PyTree, env_params: PyTree, key: Key) -> PyTree:
        """Any action."""
        return random_action(self.space, obs, key)


def actors_of(env: AnyEnvironment, env_params: PyTree) -> dict[str, Actor]:
    """The players of an environment by name: a random one, and those that it offers.

    An environment offers scripted ones with a method `actors()`, which returns `{name: actor}`.
    """
    *_, innermost = layers(env)
    offered: Mapping[str, Actor] = getattr(innermost, "actors", dict)()
    return {RANDOM: Random(env.action_space(env_params)), **offered}


def actor_named(name: str, env: AnyEnvironment, env_params: PyTree) -> Actor:
    """A player of an environment; UnknownNameError if it has none of this name."""
    actors = actors_of(env, env_params)
    if name not in actors:
        raise unknown("actor", name, actors)
    return actors[name]


def choose_action(
    actor: Actor, env: Any, obs: PyTree, state: PyTree, params: PyTree, key: Key
) -> PyTree:
    """The actor's, who sees state and params of the environment below all wrappers."""
    for layer in layers(env):
        if not isinstance(layer, Wrapper):
            break
        state, params = layer.inner_state(state), layer.inner_params(params)
    return actor(obs, state, params, key)
