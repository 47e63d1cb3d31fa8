"""Policies of every algorithm, head and kind of observation, with random numbers in them."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from probes import Clock, Probe
from vibe_rl.algorithms import DQN, PPO, SAC, DQNConfig, PPOConfig, SACConfig
from vibe_rl.algorithms.base import Setup
from vibe_rl.env import Step
from vibe_rl.networks.actor_critic import choices
from vibe_rl.spaces import (
    Board,
    Box,
    Dict,
    Discrete,
    Flat,
    Image,
    Masked,
    MultiBinary,
    MultiDiscrete,
)
from vibe_rl.types import MaskedObs, is_key

INF = np.inf
VECTOR, BITS = Box(-1.0, 1.0, (3,)), MultiBinary(2)
SIDES = Box([-2.0, 0.0, -INF, -INF, 1.0], [3.0, INF, 5.0, INF, 1.0])
"""Both bounds, one, the other, none, and a single possible value."""
WHOLE = Box([0, -INF, 3, -INF], [3, INF, INF, -2], dtype=jnp.int32)
MIXED = Dict(
    {
        "p": Image(9, 8, 3),
        "in": Dict({"n": Discrete(3), "many": MultiDiscrete((2, 4))}),
        "v": VECTOR,
    }
)
BOARD = Flat(
    {
        "player": Box(0.0, 1.0, (3,)),
        "bits": MultiBinary(2),
        "grid": Board(0.0, 1.0, (3, 4, 2), centre=("player", 2, 0)),
    }
)
SMALL = {"hidden_sizes": (8,)}
CONV = {"conv_layers": ((4, 3, 2), (5, 2, 1)), **SMALL}

CASES = {
    "ppo, choices": (PPO, PPOConfig(**SMALL), VECTOR, Discrete(3)),
    "ppo, masked choices of many": (
        PPO,
        PPOConfig(activation="gelu", **CONV),
        Masked(MIXED, 5),
        MultiDiscrete((3, 2)),
    ),
    "ppo, bits": (PPO, PPOConfig(activation="silu", **SMALL), MultiBinary(4), MultiBinary(2)),
    "ppo, clipped numbers": (
        PPO,
        PPOConfig(activation="elu", normalize_obs=True, **SMALL),
        Dict({"a": Box(-INF, INF, (2, 2)), "b": Box(0, 200, (), jnp.uint8)}),
        SIDES,
    ),
    "ppo, squashed numbers": (
        PPO,
        PPOConfig(squash=True, shared_backbone=True, **SMALL),
        Box(-1.0, 1.0, (), jnp.float16),
        Box([-2.0, 0.0], [3.0, 4.0]),
    ),
    "ppo, whole numbers": (PPO, PPOConfig(activation="relu", **SMALL), Discrete(5), WHOLE),
    "dqn, gray picture": (
        DQN,
        DQNConfig(**CONV),
        Masked(Box(0, 255, (8, 8), jnp.uint8), 4),
        Discrete(4),
    ),
    "dqn, duelling on a stack": (
        DQN,
        DQNConfig(dueling=True, normalize_obs=True, activation="relu", **CONV),
        Box(0.0, 3.0, (2, 8, 9, 1)),
        Discrete(3, jnp.uint8),
    ),
    "dqn, no layers": (DQN, DQNConfig(hidden_sizes=()), Box(0, 1, (3,), bool), Discrete(4)),
    "sac, masked choices": (
        SAC,
        SACConfig(normalize_obs=True, **SMALL),
        Masked(Dict({"a": VECTOR}), 3),
        Discrete(3),
    ),
    "sac, numbers": (
        SAC,
        SACConfig(log_std_min=-1.0, log_std_max=0.5, **SMALL),
        MultiDiscrete((2, 3)),
        Box([-2.0, 0.0], [3.0, 0.5]),
    ),
    "ppo, rolled board": (
        PPO,
        PPOConfig(encoder="rolled", cell_width=3, **SMALL),
        Masked(BOARD, 4),
        Discrete(4),
    ),
    "ppo, centred board in parts": (
        PPO,
        PPOConfig(encoder="centred", normalize_values=True, **SMALL),
        BOARD.dictionary,
        Discrete(3),
    ),
    "dqn, convolved board beside a picture": (
        DQN,
        DQNConfig(encoder="conv", cell_width=3, **CONV),
        Dict({"p": Image(9, 8, 3), "rest": BOARD}),
        Discrete(3),
    ),
    "sac, cells without a viewer": (
        SAC,
        SACConfig(encoder="cells", **SMALL),
        Board(0, 1, (2, 3, 2)),
        Box([-2.0], [3.0]),
    ),
    "ppo, all flattened": (
        PPO,
        PPOConfig(encoder="mlp", **SMALL),
        Dict({"p": Image(3, 2, 1), "rest": BOARD.dictionary, "flat": BOARD}),
        Discrete(3),
    ),
    "sac, bytes": (SAC, SACConfig(**SMALL), VECTOR, Box(0, 9, (2,), jnp.uint8)),
}
SETUP = Setup(10_000, 4, 1, 1000, 256, "device")


@dataclass(frozen=True)
class Drawn(Probe):
    """Every observation is drawn anew, masks too."""

    obs_space: Any = VECTOR
    acts_in: Any = BITS
    length: int = 7

    def observation_space(self, params):
        return self.obs_space

    def action_space(self, params):
        return self.acts_in

    def first(self, key):
        obs = self.obs_space.sample(key)
        if not isinstance(obs, MaskedObs):
            return obs
        legal = jax.random.bernoulli(key, 0.6, obs.legal.shape)
        firsts = np.cumsum((0, *choices(self.acts_in)))[:-1]
        return obs._replace(legal=legal.at[firsts].set(True))

    def following(self, key, state):
        return self.first(key)

    def reset(self, key, params):
        return self.first(key), Clock((), jnp.int32(0))

    def step(self, key, state, action, params):
        over = state.time + 1 >= self.length
        reward, never = jnp.float32(1.0), jnp.array(False)
        return Step(self.first(key), Clock((), state.time + 1), reward, over, never, {})


def agent_of(case):
    """An algorithm, a state with normal numbers in it, and an env."""
    kind, config, obs_space, action_space = CASES[case]
    algorithm = kind.from_config(config, obs_space, action_space, SETUP)
    shapes = algorithm.portable(jax.eval_shape(algorithm.init, jax.random.key(0)))
    return algorithm, filled(shapes), Drawn(obs_space=obs_space, acts_in=action_space)


def filled(shapes, seed=0):
    rng = np.random.default_rng(seed)

    def numbers(path, leaf):
        if is_key(leaf):
            return jax.random.key(1)
        values = rng.normal(size=leaf.shape)
        values = np.abs(values) + 0.1 if ".var" in jax.tree_util.keystr(path) else values
        return jnp.asarray(values.astype(leaf.dtype))

    return jax.tree_util.tree_map_with_path(numbers, shapes)


def plain_obs(obs):
    """An observation as programs without vibe_rl give it."""
    return tuple(obs) if isinstance(obs, MaskedObs) else obs
