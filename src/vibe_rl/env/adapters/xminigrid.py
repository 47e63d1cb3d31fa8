"""Environments of XLand-MiniGrid (Nikulin et al. 2023, arXiv:2312.12044).

They end at the goal and are truncated after `max_steps`. XLand's worlds have a task only with a
ruleset, of a benchmark that lies on this disk.
"""

import os
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
from vibe_rl.errors import ConfigError, unknown
from vibe_rl.spaces import Board, Discrete
from vibe_rl.types import Key, PyTree

XLAND = "XLand"
"""What the names of worlds without a task of their own begin with."""


@dataclass(frozen=True)
class XMiniGridEnvironment:
    """One of XLand-MiniGrid's, with `arguments` in its params.

    Params are the suite's: sizes and `max_steps` are fixed, the ruleset is arrays.
    """

    env_id: str
    arguments: Arguments = ()

    @property
    def suite_env(self) -> Any:
        """The suite's own environment."""
        return _built(self.env_id, self.arguments)[0]

    def default_params(self) -> PyTree:
        """The suite's, with `arguments`."""
        return _built(self.env_id, self.arguments)[1]

    def observation_space(self, params: PyTree) -> Board:
        """What the agent sees, itself at the middle of the last row: tile and colour of a cell."""
        constants = _xminigrid().core.constants
        most = np.array([constants.NUM_TILES - 1, constants.NUM_COLORS - 1])
        return Board(0, most, self.suite_env.observation_shape(params), jnp.uint8)

    def action_space(self, params: PyTree) -> Discrete:
        """Ahead, turn right, turn left, pick up, put down, toggle."""
        return Discrete(int(self.suite_env.num_actions(params)))

    def reset(self, key: Key, params: PyTree) -> tuple[PyTree, PyTree]:
        """The suite's reset; its timestep is our state."""
        with as_suites_expect():
            timestep = strong(self.suite_env.reset(params, jax.random.key_data(key)))
        return timestep.observation, timestep

    def step(self, key: Key, state: PyTree, action: PyTree, params: PyTree) -> Step:
        """One step of the suite, which is not random."""
        with as_suites_expect():
            after = in_types_of(self.suite_env.step(params, copied(state), action), state)
            last, dead = after.last(), after.discount == 0
        reward = after.reward.astype(jnp.float32)
        return Step(after.observation, after, reward, last & dead, last & ~dead, {})


def make(
    name: str, benchmark: str = "", ruleset: Any = 0, download: bool = False, **kwargs: Any
) -> tuple[Environment, PyTree]:
    """One of XLand-MiniGrid's environments, such as `"MiniGrid-DoorKey-8x8"`, and its params.

    Args:
        name: one of `names()`, or with a benchmark one of XLand's worlds.
        benchmark: a set of rulesets, such as `"trivial-1m"`, for XLand's worlds.
        ruleset: which of them.
        download: whether the benchmark may be fetched from the Hugging Face Hub.
        **kwargs: fields of the suite's params, such as `max_steps` and `view_size`.

    Raises:
        ConfigError: the suite is not installed, has no such environment, field or benchmark, or
            would have to download.
    """
    check_name("xminigrid", name, _xminigrid().registered_environments())
    if name.startswith(XLAND) and not benchmark:
        known = ", ".join(_xminigrid().registered_benchmarks())
        raise ConfigError(
            f"xminigrid:{name} has no task without a ruleset: pass benchmark, one of {known}."
        )
    if benchmark:
        _check_benchmark(benchmark, download)
        kwargs |= {"benchmark": benchmark, "ruleset": ruleset}
    env = XMiniGridEnvironment(name, frozen(kwargs))
    return env, env.default_params()


def names() -> tuple[str, ...]:
    """The names of environments with a task of their own."""
    known = _xminigrid().registered_environments()
    return tuple(sorted(name for name in known if not name.startswith(XLAND)))


def _xminigrid() -> Any:
    return suite_module("xminigrid", "xminigrid", "XLand-MiniGrid's environments")


def _check_benchmark(name: str, download: bool) -> None:
    benchmarks = _xminigrid().benchmarks
    if name not in benchmarks.NAME2HFFILENAME:
        raise unknown("benchmark", name, benchmarks.NAME2HFFILENAME)
    path = os.path.join(benchmarks.DATA_PATH, benchmarks.NAME2HFFILENAME[name])
    if not download and not os.path.exists(path):
        raise ConfigError(
            f"benchmark {name} is not on this disk: pass download=True, and xminigrid fetches it "
            "from the Hugging Face Hub."
        )


@cache
def _built(name: str, arguments: Arguments) -> tuple[Any, PyTree]:
    """The environment and its params, as arrays on no device."""
    kwargs = dict(arguments)
    benchmark, ruleset = kwargs.pop("benchmark", ""), kwargs.pop("ruleset", 0)
    with making(f"xminigrid:{name}"):
        if benchmark:
            kwargs["ruleset"] = _ruleset(benchmark, ruleset)
        env, params = _xminigrid().make(name, **kwargs)
    return env, jax.device_get(params)


def _ruleset(benchmark: str, number: int) -> Any:
    rulesets = _xminigrid().load_benchmark(benchmark)
    if not 0 <= number < rulesets.num_rulesets():
        most = rulesets.num_rulesets() - 1
        raise ConfigError(f"ruleset {number} of {benchmark}: give a number from 0 to {most}.")
    return rulesets.get_ruleset(number)
