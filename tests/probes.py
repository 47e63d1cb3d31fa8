"""Tiny environments whose optimal values are known in closed form, and envs of odd shapes."""

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vibe_rl.env import Box, Dict, Discrete, Image, Masked, MultiDiscrete, Step
from vibe_rl.types import MaskedObs


class Clock(NamedTuple):
    obs: Any
    time: Any  # int32


class Constants(NamedTuple):
    reward: Any = np.float32(1.0)


@dataclass(frozen=True)
class Probe:
    """One-number observations, two actions, episodes of `length` steps that end as `ends` says."""

    length: int = 1
    ends: str = "terminated"

    def default_params(self):
        return Constants()

    def observation_space(self, params):
        return Box(-1.0, 1.0, (1,))

    def action_space(self, params):
        return Discrete(2)

    def reset(self, key, params):
        obs = self.first(key)
        return obs, Clock(obs, jnp.int32(0))

    def first(self, key):
        return jnp.zeros(1)

    def reward(self, state, action, params):
        return jnp.asarray(params.reward, jnp.float32)

    def following(self, key, state):
        return state.obs

    def step(self, key, state, action, params):
        reward = self.reward(state, action, params)
        obs = self.following(key, state)
        over = state.time + 1 >= self.length
        never = jnp.array(False)
        terminated, truncated = (over, never) if self.ends == "terminated" else (never, over)
        state = Clock(obs, state.time + 1)
        metrics = {"action_mean": jnp.mean(jnp.asarray(action, jnp.float32))}
        return Step(obs, state, reward, terminated, truncated, {"metrics": metrics})


class SignReward(Probe):
    """The reward is the observation, +1 or -1: V = obs when every episode has one step."""

    def first(self, key):
        return jax.random.rademacher(key, (1,), jnp.float32)

    def reward(self, state, action, params):
        return state.obs[0]


class MatchSign(SignReward):
    """Action 1 is right where the observation is positive, action 0 where it is negative."""

    def reward(self, state, action, params):
        return jnp.where((action == 1) == (state.obs[0] > 0), 1.0, -1.0)


class RandomEnds(MatchSign):
    """Rewards of any size; every step is the last of its episode with probability 1/4."""

    def step(self, key, state, action, params):
        reward_key, end_key = jax.random.split(key)
        step = super().step(key, state, action, params)
        reward = 2.0 * step.reward + jax.random.normal(reward_key)
        return step._replace(reward=reward, terminated=jax.random.bernoulli(end_key, 0.25))


class Continuous(Probe):
    """The best action is 1.5, within bounds -2 and 3."""

    def action_space(self, params):
        return Box(-2.0, 3.0, (1,))

    def reward(self, state, action, params):
        return -((action[0] - 1.5) ** 2)


class Rules(NamedTuple):
    """What happens in `Ruled`, all in numbers: one compiled program serves every task.

    Each episode is on one of two sides at random, all through.
    """

    length: Any = np.int32(1)
    first_obs: Any = np.zeros(2, np.float32)  # on either side
    later_obs: Any = np.zeros(2, np.float32)
    reward: Any = np.ones((2, 2, 2), np.float32)  # of the first and later steps, side and action
    dies: Any = np.ones(2, bool)  # on either side, else the clock ends the episode


SIGNS = np.array([-1, 1], np.float32)
BY_SIGN = Rules(first_obs=SIGNS, later_obs=SIGNS)

SIGN_REWARD = BY_SIGN._replace(reward=np.tile(SIGNS[:, None], (2, 1, 2)))
"""The reward is the observation, +1 or -1: V = obs when every episode has one step."""

EITHER_END = BY_SIGN._replace(dies=np.array([True, False]))
"""Reward 1 for ever; where -1 is observed death ends it, where +1 is the clock does."""

MATCH_SIGN = BY_SIGN._replace(reward=np.tile(np.outer(SIGNS, SIGNS), (2, 1, 1)))
"""Action 1 is right where the observation is positive, action 0 where it is negative."""

DELAYED_REWARD = Rules(
    length=np.int32(2),
    later_obs=np.ones(2, np.float32),
    reward=np.repeat(np.array([0, 1], np.float32), 4).reshape(2, 2, 2),
)
"""Two steps; only the second pays 1: V(start) = gamma, V(later) = 1."""


class Ruled(Probe):
    """What it does is in its params."""

    def default_params(self):
        return Rules()

    def reset(self, key, params):
        side = jax.random.randint(key, (), 0, 2)
        return params.first_obs[side][None], Clock(side, jnp.int32(0))

    def step(self, key, state, action, params):
        side, later = state.obs, (state.time > 0).astype(jnp.int32)
        over, dies = state.time + 1 >= params.length, params.dies[side]
        reward, obs = params.reward[later, side, action], params.later_obs[side][None]
        return Step(obs, Clock(side, state.time + 1), reward, over & dies, over & ~dies, {})


class Guided(Probe):
    """An expert knows the best action, which is linear in the observation."""

    matrix: ClassVar[Any] = np.array([[1.0, -0.5], [0.25, 0.5]], np.float32)

    def observation_space(self, params):
        return Box(-1.0, 1.0, (2,))

    def action_space(self, params):
        return Box([-2.0, -1.0], [2.0, 1.0])

    def first(self, key):
        return jax.random.uniform(key, (2,), jnp.float32, minval=-1.0)

    def following(self, key, state):
        return self.first(key)

    def reward(self, state, action, params):
        return -jnp.sum((action - self.matrix @ state.obs) ** 2)

    def actors(self):
        return {"expert": knows_best}


def knows_best(obs, env_state, env_params, key):
    """The actor of `Guided`: by what the state says, not by what is observed."""
    return Guided.matrix @ env_state.obs


class GuidedChoice(MatchSign):
    """An expert knows the right one of two choices."""

    def actors(self):
        return {"rules": follow_sign}


def follow_sign(obs, env_state, env_params, key):
    """The actor of `GuidedChoice`."""
    return (env_state.obs[0] > 0).astype(jnp.int32)


class TwoChoices(Probe):
    """The best pair of choices is (2, 1)."""

    def action_space(self, params):
        return MultiDiscrete((3, 2))

    def reward(self, state, action, params):
        return jnp.float32(action[0] == 2) + jnp.float32(action[1] == 1)


class Forbidden(Probe):
    """Action 1 pays most and is never legal; of the others, action 2 pays most."""

    def observation_space(self, params):
        return Masked(Box(-1.0, 1.0, (1,)), 3)

    def action_space(self, params):
        return Discrete(3)

    def first(self, key):
        return MaskedObs(jnp.zeros(1), jnp.array([True, False, True]))

    def reward(self, state, action, params):
        return jnp.array([0.0, 10.0, 1.0])[action]


class Rooms(Probe):
    """A dictionary of a choice and a vector is observed."""

    def observation_space(self, params):
        return Dict({"place": Box(-1.0, 1.0, (2,)), "room": Discrete(3)})

    def first(self, key):
        return {"place": jnp.zeros(2), "room": jax.random.randint(key, (), 0, 3)}


class ChoicesInRooms(Rooms):
    """The best pair of choices is the room, and 1 in room 2 alone."""

    def action_space(self, params):
        return MultiDiscrete((3, 2))

    def reward(self, state, action, params):
        room = state.obs["room"]
        return jnp.float32(action[0] == room) + jnp.float32((action[1] == 1) == (room == 2))


class ForbiddenInRooms(Rooms):
    """Action 1 pays most and is never legal; of the others, 2 is right in room 2, 0 elsewhere."""

    def observation_space(self, params):
        return Masked(super().observation_space(params), 3)

    def action_space(self, params):
        return Discrete(3)

    def first(self, key):
        return MaskedObs(super().first(key), jnp.array([True, False, True]))

    def reward(self, state, action, params):
        right = (action == 2) == (state.obs.view["room"] == 2)
        return jnp.where(action == 1, 10.0, jnp.float32(right))


class BlackOrWhite(Probe):
    """An image, all black or all white; action 1 is right on white."""

    def observation_space(self, params):
        return Image(6, 6, 1)

    def first(self, key):
        return jnp.full((6, 6, 1), 255, jnp.uint8) * jax.random.bernoulli(key).astype(jnp.uint8)

    def reward(self, state, action, params):
        return jnp.where((action == 1) == (state.obs[0, 0, 0] > 0), 1.0, 0.0)


@dataclass(frozen=True)
class NamedMetric(Probe):
    """Has one metric of the given name."""

    name: str = "metric"
    value: float = 1.0

    def step(self, key, state, action, params):
        step = super().step(key, state, action, params)
        return step._replace(info={"metrics": {self.name: jnp.float32(self.value)}})


class PoisonedLater(Probe):
    """The 51st reward of an episode is infinite."""

    def reward(self, state, action, params):
        return jnp.where(state.time == 50, jnp.inf, 1.0)


@dataclass(frozen=True)
class Counter(Probe):
    """Observes the number of steps since the reset, divided by ten; resets to minus one."""

    length: int = 3
    ends: str = "truncated"

    def first(self, key):
        return -jnp.ones(1)

    def following(self, key, state):
        return (state.time + 1).astype(jnp.float32)[None] / 10.0


@dataclass(frozen=True)
class Climber(Counter):
    """Three steps long, and says of its episodes: whether, how high, how low, how often.

    Where an episode ends, they are the reward above 1.5, the reward twice, and 3; before, others.
    """

    episode_metrics: ClassVar = {"highest": "max", "lowest": "min", "climbs": "sum"}
    step_metrics: ClassVar = {"top_speed": "max"}

    def step(self, key, state, action, params):
        step = super().step(key, state, action, params)
        time = state.time + 1
        reached = step.reward + 100.0 * (self.length - time)
        episode = {"success": reached > 1.5, "highest": reached, "climbs": time}
        episode["lowest"] = step.reward - 100.0 * (self.length - time)
        metrics = {"speed": step.reward, "top_speed": step.reward * time}
        return step._replace(info={"metrics": metrics, "episode": episode})


class Bank(NamedTuple):
    """What each scenario pays a step, and which one is played."""

    pay: Any = np.arange(4, dtype=np.float32)
    scenario: Any = np.int32(-1)  # any


class InScenario(NamedTuple):
    scenario: Any  # int32
    pay: Any  # float32, copied from the bank
    time: Any  # int32


@dataclass(frozen=True)
class Banked(Probe):
    """Draws a scenario at reset and keeps what it needs of it; observes what it pays, and time."""

    length: int = 5
    ends: str = "truncated"

    def default_params(self):
        return Bank()

    def observation_space(self, params):
        return Box(-np.inf, np.inf, (2,))

    def reset(self, key, params):
        drawn = jax.random.randint(key, (), 0, len(params.pay), jnp.int32)
        scenario = jnp.where(params.scenario < 0, drawn, params.scenario)
        state = InScenario(scenario, jnp.float32(params.pay)[scenario], jnp.int32(0))
        return self.seen(state), state

    def seen(self, state):
        return jnp.stack([state.pay, state.time / 10]).astype(jnp.float32)

    def step(self, key, state, action, params):
        after = state._replace(time=state.time + 1)
        over, never = after.time >= self.length, jnp.array(False)
        info = {"metrics": {"pay": state.pay}, "episode": {"scenario": state.scenario}}
        return Step(self.seen(after), after, state.pay, never, over, info)


class HoldsOut(Banked):
    """Holds out five scenarios, which pay 10 to 14."""

    def held_out(self, params):
        pay = np.arange(10, 15, dtype=np.float32)
        return params._replace(pay=pay, scenario=np.arange(5, dtype=np.int32))
