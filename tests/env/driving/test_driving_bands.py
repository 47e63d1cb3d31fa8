"""Generated scenes are neither trivial nor impossible: what scripted drivers reach in a few."""

from functools import partial

import jax.numpy as jnp
import numpy as np
from driving_scenes import drive

from compiling import as_users_do
from vibe_rl.env import Driving, driving_params
from vibe_rl.env.driving import actors
from vibe_rl.env.driving.generate import generate
from vibe_rl.env.driving.scenarios.scenario import stacked

SCENES = 32
ENV = Driving(observation="gt")
DRIVERS = {
    "expert": actors.LogFollower(ENV),
    "lane": actors.LaneFollower(ENV, factor=1.0),
    "cruise": actors.LaneFollower(ENV, factor=None),
    "brake": actors.Brake(ENV),
    "constant": actors.Constant(ENV),
}
BANDS = {"expert": (0.96, 1), "lane": (0, 0.5), "cruise": (0.2, 0.75), "brake": (0, 0.2)}
BANDS |= {"constant": (0, 0.4)}
"""Loose ones, for few scenes; `bench/driving_bands.py` has those that hold."""


def each_by_another(obs, state, params, key):
    """An action in a bank that has the scenes once for every driver: one program for all."""
    ways = [partial(driver, obs, state, params, key) for driver in DRIVERS.values()]
    return jnp.stack([way() for way in ways])[state.scenario // SCENES]


def test_who_drives_without_looking_fails_and_the_expert_does_not():
    scenes = [scene for _, scene in generate(11, SCENES)]
    with as_users_do():
        steps = drive(ENV, each_by_another, driving_params(stacked(scenes * len(DRIVERS))))
    ends = np.argmax(np.asarray(steps.terminated | steps.truncated), -1)
    success = np.asarray(steps.info["episode"]["success"])[np.arange(len(ends)), ends]
    rates = dict(zip(DRIVERS, success.reshape(-1, SCENES).mean(1).tolist(), strict=True))
    for name, (low, high) in BANDS.items():
        assert low <= rates[name] <= high, rates
