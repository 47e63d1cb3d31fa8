"""DQN and SAC on probes: values and policies known in closed form, for every kind of space."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from probes import (
    DELAYED_REWARD,
    EITHER_END,
    MATCH_SIGN,
    SIGN_REWARD,
    BlackOrWhite,
    Continuous,
    ForbiddenInRooms,
    Ruled,
)
from vibe_rl.algorithms.dqn import DQNConfig
from vibe_rl.algorithms.sac import SACConfig
from vibe_rl.env import AutoResetWrapper
from vibe_rl.ops.normalization import standardize_obs
from vibe_rl.replay.ring import NO_TRANSITION
from vibe_rl.runner import RunnerConfig
from vibe_rl.runner.train_dqn import dqn, train_dqn
from vibe_rl.runner.train_sac import sac, train_sac
from vibe_rl.types import MaskedObs

SMALL = {"hidden_sizes": (16,), "num_envs": 8, "replay_ratio": 0.125, "gamma": 0.9}
DQN = SMALL | {"lr": 1e-2, "target_update_freq": 10, "batch_size": 64}
SAC = SMALL | {"actor_lr": 1e-2, "critic_lr": 1e-2, "alpha_lr": 1e-2, "tau": 0.1, "batch_size": 64}
COLD = {"init_alpha": 1e-4, "autotune_alpha": False}  # as good as no entropy bonus
BY_PRIORITY = {"n_step": 3, "prioritized": True}
MANY_CRITICS = COLD | BY_PRIORITY | {"n_critics": 3}
ONE_CRITIC = {"n_critics": 1, "normalize_obs": True}
RUNNER = RunnerConfig(
    total_timesteps=8_000,
    warmup_steps=200,
    buffer_size=8_000,
    eval_episodes=0,
    log_interval=8_000,
    progress_bar=False,
)


def learn_dqn(env, params=None, runner=RUNNER, **changes):
    config, env = DQNConfig(**(DQN | changes)), AutoResetWrapper(env)
    params = env.default_params() if params is None else params
    result = train_dqn(env, params, dqn_config=config, runner_config=runner)
    return dqn(env, params, config, runner), result.agent_state


def learn_sac(env, params=None, runner=RUNNER, **changes):
    config, env = SACConfig(**(SAC | changes)), AutoResetWrapper(env)
    params = env.default_params() if params is None else params
    result = train_sac(env, params, sac_config=config, runner_config=runner)
    return sac(env, params, config, runner), result.agent_state


def choices(learned, obs):
    """The best action at each of several observations."""
    algorithm, state = learned
    return np.asarray(jax.jit(jax.vmap(lambda o: algorithm.greedy(state, o)))(obs))


def values(learned, *numbers):
    """What the agent expects at observations of one number: the value of its best action there."""
    algorithm, state = learned
    obs = jnp.array(numbers)[:, None]
    return np.asarray(jax.vmap(lambda o: algorithm.value(state, o))(obs))


SIGNS = jnp.array([[-1.0], [1.0]])


@pytest.mark.parametrize(
    ("learn", "length", "changes", "dying"),
    # reward 1 for ever at gamma 0.9 is worth 1 / (1 - 0.9) = 10, reward 1 and the end 1. With an
    # unobserved clock of three steps the last of them is every third: V = 1 + 0.9 * 2/3 V = 2.5;
    # by three rewards at once (1 + 0.9 + 0.81 + 1 + 0.9 + 1) / 3 = 1.87. Drawn by their errors,
    # steps of different returns do not average
    [
        (learn_dqn, 1, {}, 1.0),
        (learn_dqn, 3, {}, 2.5),
        (learn_dqn, 3, {"n_step": 3}, 1.87),
        (learn_dqn, 3, BY_PRIORITY, None),
        (learn_sac, 1, MANY_CRITICS, 1.0),
        (learn_sac, 3, COLD, 2.5),
    ],
    ids=[
        "dqn 1",
        "dqn 3",
        "dqn 3 at once",
        "dqn 3 by priority",
        "sac 1, three critics by priority",
        "sac 3",
    ],
)
def test_the_clock_is_no_part_of_the_task_and_death_is(learn, length, changes, dying):
    rules = EITHER_END._replace(length=np.int32(length))
    died, timed_out = values(learn(Ruled(), rules, **changes), -1.0, 1.0)
    assert timed_out == pytest.approx(10.0, rel=0.05)
    if dying is not None:
        assert died == pytest.approx(dying, rel=0.1)
    assert 0.9 < died < 3.0


def test_delayed_rewards_are_discounted():
    learned = learn_dqn(Ruled(), DELAYED_REWARD)
    np.testing.assert_allclose(values(learned, 0.0, 1.0), [0.9, 1.0], atol=0.1)


def test_values_depend_on_observations():
    learned = learn_sac(Ruled(), SIGN_REWARD, **COLD)
    np.testing.assert_allclose(values(learned, -1.0, 1.0), [-1.0, 1.0], atol=0.1)


def test_dqn_chooses_by_observations_in_every_other_way():
    changes = {
        **{"double": False, "loss": "huber", "dueling": True, "normalize_obs": True},
        **{"tau": 0.1, "target_update_freq": 1, "lr_end": 0.0},
        **{"num_envs": 1, "replay_ratio": 2.0, "train_every": 2, "exploration_hold": 3},
    }  # four gradient steps an update
    learned = learn_dqn(Ruled(), MATCH_SIGN, shorter(2_000), **changes)
    np.testing.assert_array_equal(choices(learned, SIGNS), [0, 1])


def shorter(total_timesteps):
    return replace(RUNNER, total_timesteps=total_timesteps)


@pytest.mark.parametrize(
    "changes",
    [ONE_CRITIC, MANY_CRITICS],
    ids=["one critic, normalised", "three critics by priority"],
)
def test_sac_chooses_by_observations(changes):
    learned = learn_sac(Ruled(), MATCH_SIGN, shorter(4_000), **changes)
    np.testing.assert_array_equal(choices(learned, SIGNS), [0, 1])


def test_a_learned_temperature_brings_the_entropy_to_its_target():
    # half of log 2 = 0.347 nats, with one action of two right and worth the same everywhere
    algorithm, state = learn_sac(Ruled(), MATCH_SIGN, init_alpha=0.05, **ONE_CRITIC)
    obs = jax.vmap(partial(standardize_obs, state.memory.obs_statistics))(SIGNS)
    soft = state.actor_params.soft_value(state.critic_params, obs, 0.0, jax.random.key(0))
    np.testing.assert_allclose(soft.entropy, algorithm.target_entropy, atol=0.1)


def test_continuous_actions_use_the_whole_range_of_the_space():
    learned = learn_sac(Continuous(), init_alpha=0.1)
    assert choices(learned, jnp.zeros((1, 1)))[0, 0] == pytest.approx(1.5, abs=0.2)


def actions_taken(state):
    ring = state.memory.ring
    return np.asarray(ring.action)[np.asarray(ring.kind) != NO_TRANSITION]


@pytest.mark.parametrize("learn", [learn_dqn, learn_sac], ids=["dqn", "sac"])
def test_illegal_actions_are_never_taken_and_the_best_legal_one_is_learned_from_dictionaries(learn):
    # the buffer holds the whole run, warm-up included
    learned = learn(ForbiddenInRooms(), runner=shorter(4_000))
    taken = actions_taken(learned[1])
    assert taken.size == 4_000
    assert set(taken.tolist()) == {0, 2}
    view = {"place": jnp.zeros((3, 2)), "room": jnp.arange(3)}
    obs = MaskedObs(view, jnp.tile(jnp.array([True, False, True]), (3, 1)))
    np.testing.assert_array_equal(choices(learned, obs), [0, 0, 2])


@pytest.mark.parametrize(
    ("learn", "changes"),
    [(learn_dqn, {}), (learn_sac, {"actor_lr": 3e-3, "critic_lr": 3e-3})],  # of 4 seeds all
    ids=["dqn", "sac"],
)
def test_pixels_are_learned_from(learn, changes):
    obs = jnp.array([0, 255], jnp.uint8)[:, None, None, None] * jnp.ones((1, 6, 6, 1), jnp.uint8)
    learned = learn(BlackOrWhite(), runner=shorter(4_000), conv_layers=((4, 3, 2),), **changes)
    np.testing.assert_array_equal(choices(learned, obs), [0, 1])
    assert learned[1].memory.ring.obs.dtype == np.uint8
