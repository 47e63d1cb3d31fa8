"""What the environments of every suite promise, and how they are played."""

from functools import partial
from importlib.util import find_spec
from typing import Any

import jax
import numpy as np
import pytest

from vibe_rl.env import AutoResetWrapper, make
from vibe_rl.env.adapters.suites import SUITES
from vibe_rl.env.checks.checker import examine
from vibe_rl.env.checks.traced import trace, unfit_shapes
from vibe_rl.spaces import random_action


def needs(prefix: str) -> pytest.MarkDecorator:
    """Skips the tests of a suite that is not installed, and says which extra brings it."""
    suite = SUITES[prefix]
    absent = find_spec(suite.package) is None
    reason = f"{suite.package} is not installed: pip install 'vibe-rl[{suite.extra}]'"
    return pytest.mark.skipif(absent, reason=reason)


def assert_sound(name: str, **kwargs: Any) -> None:
    """Checks an environment, and that others like it are equal to it."""
    env, params = make(name, **kwargs)
    assert examine(env, params).problems == []
    again, _ = make(name, **kwargs)
    assert (env, hash(env)) == (again, hash(again))
    assert all(isinstance(x, np.ndarray | np.generic) for x in jax.tree.leaves(params))


def assert_sound_in_64_bits(name: str, **kwargs: Any) -> None:
    """Checks shapes and types as 64-bit mode has them."""
    with jax.enable_x64(True):
        env, params = make(name, **kwargs)
        traced = trace(env, params)
        assert unfit_shapes(traced) == []


@partial(jax.jit, static_argnums=(0, 3, 4))
def played(env: Any, params: Any, key: Any, n_envs: int, n_steps: int) -> Any:
    """Random legal actions in environments that start anew where an episode ends: `[T, N]`."""
    env, space = AutoResetWrapper(env), env.action_space(params)

    def body(carry: Any, key: Any) -> tuple[Any, Any]:
        obs, state = carry
        action_key, step_key = jax.random.split(key)
        step = env.step(step_key, state, random_action(space, obs, action_key), params)
        return (step.obs, step.state), step._replace(state=None)

    def play(key: Any) -> Any:
        reset_key, scan_key = jax.random.split(key)
        first = env.reset(reset_key, params)
        return jax.lax.scan(body, first, jax.random.split(scan_key, n_steps))[1]

    return jax.vmap(play, out_axes=1)(jax.random.split(key, n_envs))
