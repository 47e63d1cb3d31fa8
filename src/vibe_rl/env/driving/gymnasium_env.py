"""Driving for Gymnasium, one vehicle at a time.

Importing this registers it: `gymnasium.make("vibe_rl/Driving-v0")`. Or in one go, as Gymnasium
imports what stands before the colon:
`gymnasium.make("vibe_rl.env.driving.gymnasium_env:vibe_rl/Driving-v0")`.
"""

from functools import cache
from typing import Any

import jax
import numpy as np

from vibe_rl.env.driving.env import Driving
from vibe_rl.env.driving.params import DrivingParams, with_scenario
from vibe_rl.extras import require
from vibe_rl.spaces import Box, Discrete, Space

gymnasium = require("gymnasium", "gym", "Gymnasium's environments")

ID = "vibe_rl/Driving-v0"


def as_gymnasium(space: Space) -> Any:
    """A `Box` or `Discrete` of Gymnasium's."""
    if isinstance(space, Discrete):
        return gymnasium.spaces.Discrete(space.n)
    assert isinstance(space, Box)
    low, high = (np.array(bound, np.float32).reshape(space.shape) for bound in space.bounds)
    return gymnasium.spaces.Box(low, high, dtype=np.float32)


@cache
def _compiled(env: Driving) -> tuple[Any, Any]:
    return jax.jit(env.reset), jax.jit(env.step)


class DrivingEnv(gymnasium.Env):
    """`Driving` under Gymnasium's names; `info` has the metrics of the step and of the episode.

    Args:
        params: constants, with scenarios of your own; see `driving_params`.
        render_mode: None is the only one.
        **options: fields of `Driving`.
    """

    metadata = {"render_modes": []}  # noqa: RUF012 - as Gymnasium declares it

    def __init__(
        self, params: DrivingParams | None = None, render_mode: str | None = None, **options: Any
    ):
        self.render_mode = render_mode
        self.env = Driving(**options)
        self.params = jax.device_put(self.env.default_params() if params is None else params)
        self.observation_space = as_gymnasium(self.env.observation_space(self.params))
        self.action_space = as_gymnasium(self.env.action_space(self.params))
        self._reset, self._step = _compiled(self.env)
        self._state: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        """Begins a scenario, the same one for the same seed; options may name a `scenario`.

        Raises:
            ConfigError: there is no such scenario.
        """
        super().reset(seed=seed)
        params = self.params
        if options is not None and "scenario" in options:
            params = with_scenario(params, options["scenario"])
        key = jax.random.key(int(self.np_random.integers(2**31)))
        obs, self._state = self._reset(key, params)
        return np.asarray(obs), {"scenario": int(self._state.scenario)}

    def step(self, action: Any):
        """A tenth of a second."""
        key = jax.random.key(int(self.np_random.integers(2**31)))
        step = self._step(key, self._state, np.asarray(action), self.params)
        self._state = step.state
        info = {entry: jax.tree.map(float, step.info[entry]) for entry in ("metrics", "episode")}
        ends = bool(step.terminated), bool(step.truncated)
        return np.asarray(step.obs), float(step.reward), *ends, info


if ID not in gymnasium.registry:
    gymnasium.register(ID, entry_point=f"{__name__}:DrivingEnv")
