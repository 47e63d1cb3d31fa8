"""DQN's numbers by hand: targets, losses, the target network, epsilon, priorities, networks.

Most networks here are linear with the identity as their weights: Q(obs, .) is the observation.
"""

from dataclasses import replace
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vibe_rl.algorithms.dqn import DQN, DQNConfig, DQNState, huber, squared, td_target
from vibe_rl.algorithms.warmup import Warmup
from vibe_rl.networks import Encoder
from vibe_rl.networks.q_network import DuelingQNetwork, QNetwork
from vibe_rl.ops.adam import Adam
from vibe_rl.replay import Batch, Replay
from vibe_rl.spaces import Box, Dict, Discrete, Image, Masked, random_action
from vibe_rl.types import MaskedObs, Transition

KEY = jax.random.key(0)
SPACE, CHOICES = Box(-10.0, 10.0, (2,)), Discrete(2)
LINEAR = DQNConfig(hidden_sizes=(), batch_size=2, gamma=0.5, replay_ratio=0.5)
fresh_memory = jax.jit(lambda algorithm, key: algorithm.init_memory(key))
learn = jax.jit(lambda algorithm, *args: algorithm.learn(*args))
update = jax.jit(lambda algorithm, *args: algorithm.update(*args))
warm_up = jax.jit(lambda algorithm, *args: Warmup(algorithm).update(*args))
act = jax.jit(
    lambda algorithm, state, obs, keys: jax.vmap(partial(algorithm.act, state))(obs, keys)
)


def algorithm_of(config=LINEAR, obs_space=SPACE, num_envs=2, capacity=16):
    ring = Replay(capacity, num_envs, config.n_step, config.prioritized)
    return DQN(config, obs_space, CHOICES, ring, warmup_steps=4)


def floats(numbers):
    return jnp.asarray(np.asarray(numbers, np.float32))


def _head(head, weight):
    return eqx.tree_at(lambda h: (h.weight, h.bias), head, (floats(weight), floats([0.0, 0.0])))


def linear(algorithm, weight):
    """A network whose values are `weight` times the observation."""
    params = jax.eval_shape(algorithm.network, KEY)
    return eqx.tree_at(lambda p: p.head, params, _head(params.head, weight))


EYE, SWAP = np.eye(2), np.array([[0.0, 1.0], [1.0, 0.0]])


def linear_state(algorithm, weight=EYE, target_weight=EYE):
    params = linear(algorithm, weight)
    return DQNState(
        params=params,
        target_params=linear(algorithm, target_weight),
        opt_state=Adam(0.1, 1.0, flat=True).init(params),
        step=jnp.int32(0),
        memory=memory_of(algorithm),
    )


def memory_of(algorithm, updates=0):
    return fresh_memory(algorithm, KEY)._replace(step=jnp.int32(updates))


def filled(shapes):
    """Normal numbers of these shapes, without compiling."""
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda x: floats(rng.normal(size=x.shape)), shapes)


def batch_of(obs, action, reward=0.0, discount=0.0, next_obs=None, weight=1.0):
    n = len(action)
    return Batch(
        obs=floats(obs),
        action=jnp.asarray(action, jnp.int32),
        reward=jnp.full(n, reward, jnp.float32),
        discount=jnp.full(n, discount, jnp.float32),
        next_obs=floats(obs) if next_obs is None else next_obs,
        weight=jnp.broadcast_to(floats(weight), (n,)),
        slot=jnp.zeros(n, jnp.int32),
    )


def stacked(*batches):
    return jax.tree.map(lambda *x: jnp.stack(x), *batches)


def rollout_of(obs, action, reward, next_obs, terminated=(), truncated=()):
    """A rollout of one env; `terminated` and `truncated` are the steps at which it ended so."""
    n = len(action)

    def column(x):
        return jnp.asarray(x)[:, None]

    return Transition(
        column(floats(obs)),
        column(jnp.asarray(action, jnp.int32)),
        column(floats(reward)),
        column(np.isin(np.arange(n), terminated)),
        column(np.isin(np.arange(n), truncated)),
        column(floats(next_obs)),
        jnp.zeros((n, 1)),
    )


def assert_trees_close(one, other, **tolerances):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, **tolerances), one, other)


@pytest.mark.parametrize(
    ("double", "legal", "expected"),
    # At obs (3, 1) the network says (3, 1) and the target network, which swaps, (1, 3).
    # 1 + 0.5 Q': double takes Q' of the network's choice 0, plain the largest Q'
    [
        (True, None, 1.0 + 0.5 * 1.0),
        (False, None, 1.0 + 0.5 * 3.0),
        (True, [False, True], 1.0 + 0.5 * 3.0),  # choice 1 is the only one
        (True, [True, False], 1.0 + 0.5 * 1.0),
        (False, [True, False], 1.0 + 0.5 * 1.0),  # the largest Q' is illegal
        (False, [False, True], 1.0 + 0.5 * 3.0),
    ],
)
def test_the_target_is_what_the_slow_network_says_of_the_best_legal_choice(double, legal, expected):
    obs_space = SPACE if legal is None else Masked(SPACE, 2)
    algorithm = algorithm_of(replace(LINEAR, double=double), obs_space)
    view = floats([[3.0, 1.0]])
    next_obs = view if legal is None else MaskedObs(view, jnp.array([legal]))
    batch = batch_of([[0.0, 0.0]], [0], reward=1.0, discount=0.5, next_obs=next_obs)
    target = algorithm.target(linear(algorithm, EYE), linear(algorithm, SWAP), batch)
    np.testing.assert_allclose(target, [expected])


def test_the_target_is_a_function_of_numbers():
    # values -1 and -2 (choice 0), -4 and -3 (choice 1); rewards 2, discounts 0.5 and 0
    batch = batch_of(np.zeros((2, 2)), [0, 0], reward=2.0)._replace(discount=floats([0.5, 0.0]))
    next_q = floats([[-1.0, -4.0], [-2.0, -3.0]])  # [A, B]
    np.testing.assert_allclose(td_target(next_q, next_q, batch), [2.0 - 0.5, 2.0])


@pytest.mark.parametrize(
    ("ends", "expected"),
    # gamma 0.5 and three rewards 1, 2, 4: 1 + 0.5 * 2 + 0.25 * 4 = 3; then 0.125 * max(6, 8)
    [
        ({}, 3.0 + 0.125 * 8.0),
        ({"terminated": [2]}, 3.0),
        ({"truncated": [2]}, 3.0 + 0.125 * 8.0),
        ({"terminated": [1]}, 2.0),  # 1 + 0.5 * 2
        ({"truncated": [1]}, 2.0 + 0.25 * 5.0),  # obs (5, 4) was the last of the episode
        ({"truncated": [0]}, 1.0 + 0.5 * 3.0),  # obs (3, 0)
        ({"terminated": [0]}, 1.0),
    ],
)
def test_targets_sum_the_rewards_of_one_episode_and_bootstrap_unless_the_task_ended(ends, expected):
    algorithm = algorithm_of(replace(LINEAR, n_step=3), num_envs=1)
    rollout = rollout_of(
        obs=[[1.0, 1.0], [3.0, 0.0], [5.0, 4.0], [6.0, 8.0]],
        action=[0, 1, 0, 1],
        reward=[1.0, 2.0, 4.0, 100.0],
        next_obs=[[3.0, 0.0], [5.0, 4.0], [6.0, 8.0], [9.0, 9.0]],
        **ends,
    )
    state = linear_state(algorithm)
    memory = algorithm.store(state, rollout)
    first = algorithm.replay.gather(
        memory.ring, jnp.zeros(1, jnp.int32), jnp.ones(1), algorithm.config.gamma
    )
    target = algorithm.target(state.params, state.target_params, first)
    np.testing.assert_allclose(target, [expected])


@pytest.mark.parametrize(
    ("td_error", "half_square", "robust", "slope"),
    [(0.5, 0.125, 0.125, 0.5), (1.0, 0.5, 0.5, 1.0), (-3.0, 4.5, 2.5, -1.0), (0.0, 0.0, 0.0, 0.0)],
)
def test_losses_of_a_td_error(td_error, half_square, robust, slope):
    td_error = jnp.float32(td_error)
    np.testing.assert_allclose(squared(td_error), half_square)
    np.testing.assert_allclose(jax.grad(squared)(td_error), td_error)
    np.testing.assert_allclose(huber(td_error), robust)
    np.testing.assert_allclose(jax.grad(huber)(td_error), slope)


@pytest.mark.parametrize(
    ("loss", "expected"),
    # values 1 and 2 of the actions taken, targets 3 and 2.5: errors 2 and 0.5, weights 1 and 0.5
    [
        ("squared", (2.0 + 0.5 * 0.125) / 2),
        ("huber", (1.5 + 0.5 * 0.125) / 2),
    ],
)
def test_the_loss_weighs_the_examples(loss, expected):
    algorithm = algorithm_of(replace(LINEAR, loss=loss))
    batch = batch_of([[1.0, 9.0], [9.0, 2.0]], [0, 1], weight=[1.0, 0.5])
    total, (metrics, size) = algorithm.loss(linear(algorithm, EYE), batch, floats([3.0, 2.5]))
    np.testing.assert_allclose(total, expected)
    np.testing.assert_allclose(metrics.loss, expected)
    np.testing.assert_allclose(metrics.q_mean, 1.5)
    np.testing.assert_allclose(metrics.td_error, 1.25)
    np.testing.assert_allclose(size, [2.0, 0.5])


def test_only_the_value_of_the_action_taken_is_moved():
    # error 3 - 1 = 2 at obs (1, 9), action 0: d loss / d weight of row 0 is -2 obs
    algorithm = algorithm_of()
    batch = batch_of([[1.0, 9.0]], [0])
    gradient = jax.grad(algorithm.loss, has_aux=True)
    grads, _ = gradient(linear(algorithm, EYE), batch, floats([3.0]))
    np.testing.assert_allclose(grads.head.weight, [[-2.0, -18.0], [0.0, 0.0]])
    np.testing.assert_allclose(grads.head.bias, [-2.0, 0.0])


def test_a_gradient_step_is_adams_on_the_gradient_clipped_by_its_global_norm():
    # At first Adam moves every number by lr g / (|g| + 1e-8), whatever the scale: by lr towards
    # the target, and not at all where there is no gradient. The norm is that before clipping:
    # gradient -2 (1, 9, 1), norm 2 sqrt(83)
    algorithm = algorithm_of(replace(LINEAR, lr=0.1, max_grad_norm=0.5))
    state = linear_state(algorithm)
    batches = stacked(batch_of([[1.0, 9.0]], [0], reward=3.0))
    after, metrics, size = learn(algorithm, state, batches, KEY)
    np.testing.assert_allclose(after.params.head.weight, [[1.1, 0.1], [0.0, 1.0]], rtol=1e-5)
    np.testing.assert_allclose(after.params.head.bias, [0.1, 0.0], rtol=1e-5)
    np.testing.assert_allclose(metrics["grad_norm"], 2.0 * np.sqrt(83.0), rtol=1e-5)
    np.testing.assert_allclose(size, [[2.0]])
    np.testing.assert_allclose(metrics["loss"], 2.0)
    assert after.step == 1


def slot_batches(n):
    """Batches that differ."""
    return stacked(*(batch_of([[1.0, k]], [k % 2], reward=5.0 + k) for k in range(n)))


def test_the_target_network_is_replaced_every_so_many_gradient_steps():
    algorithm = algorithm_of(replace(LINEAR, target_update_freq=3, lr=0.1))
    state = linear_state(algorithm)
    two, _, _ = learn(algorithm, state, slot_batches(2), KEY)
    assert_trees_close(two.target_params, state.target_params, rtol=0)
    three, metrics, _ = learn(algorithm, state, slot_batches(3), KEY)
    assert_trees_close(three.target_params, three.params, rtol=0)
    assert metrics["gradient_steps"] == 3.0
    five, _, _ = learn(algorithm, three, slot_batches(2), KEY)  # the fourth and the fifth
    assert_trees_close(five.target_params, three.params, rtol=0)
    assert five.step == 5
    assert np.abs(five.params.head.weight - three.params.head.weight).max() > 0.01


def test_less_than_a_whole_share_makes_the_target_network_follow_slowly():
    algorithm = algorithm_of(replace(LINEAR, target_update_freq=1, tau=0.25, lr=0.1))
    state = linear_state(algorithm, target_weight=SWAP)
    after, _, _ = learn(algorithm, state, slot_batches(1), KEY)
    expected = jax.tree.map(
        lambda new, old: 0.25 * new + 0.75 * old, after.params, state.target_params
    )
    assert_trees_close(after.target_params, expected, rtol=1e-6)


def test_the_second_of_two_gradient_steps_sees_what_the_first_did():
    algorithm = algorithm_of(replace(LINEAR, lr=0.1))
    state = linear_state(algorithm)
    both, _, sizes = learn(algorithm, state, slot_batches(2), KEY)
    first, second = (jax.tree.map(lambda x, i=i: x[i : i + 1], slot_batches(2)) for i in range(2))
    middle, _, size = learn(algorithm, state, first, KEY)
    end, _, other_size = learn(algorithm, middle, second, KEY)
    assert_trees_close(both.params, end.params, rtol=1e-6)
    np.testing.assert_allclose(sizes, np.concatenate([size, other_size]), rtol=1e-6)


@pytest.mark.parametrize(
    ("updates", "train_every", "num_envs", "expected"),
    # from 1 to 0.1 over 100 env steps; an update is train_every x num_envs of them
    [
        (0, 1, 1, 1.0),
        (50, 1, 1, 0.55),
        (10, 1, 5, 0.55),
        (5, 2, 5, 0.55),
        (5, 10, 1, 0.55),
        (20, 1, 5, 0.1),
        (10**6, 4, 8, 0.1),
    ],
)
def test_epsilon_falls_with_env_steps(updates, train_every, num_envs, expected):
    config = replace(
        LINEAR,
        train_every=train_every,
        epsilon_start=1.0,
        epsilon_end=0.1,
        epsilon_decay_steps=100.0,
        replay_ratio=1.0,
    )
    algorithm = algorithm_of(config, num_envs=num_envs, capacity=100)
    memory = memory_of(algorithm, updates)
    np.testing.assert_allclose(algorithm.epsilon(memory), expected, rtol=1e-6)


def some_rollout(steps=1, num_envs=2):
    shape = (steps, num_envs)
    rng = np.random.default_rng(0)
    obs = floats(rng.normal(size=(*shape, 2)))
    never, next_obs = jnp.zeros(shape, bool), jnp.concatenate([obs[1:], obs[-1:] + 1.0])
    action = jnp.asarray(rng.integers(0, 2, shape), jnp.int32)
    reward = floats(rng.normal(size=shape))
    return Transition(obs, action, reward, never, never, next_obs, ())


def test_epsilon_has_fallen_when_the_warm_up_ends():
    # four updates of 2 envs are 8 of 20 env steps: 1 - 0.9 * 0.4; four times random all the same
    config = replace(LINEAR, epsilon_end=0.1, epsilon_decay_steps=20.0)
    algorithm = algorithm_of(config)
    state = linear_state(algorithm)
    for _ in range(4):
        state, metrics = warm_up(algorithm, state, some_rollout(), KEY)
        assert set(metrics) == {"buffer_fill"}
    np.testing.assert_allclose(algorithm.epsilon(state.memory), 0.64, rtol=1e-6)
    _, metrics = update(algorithm, state, some_rollout(), KEY)
    np.testing.assert_allclose(metrics["epsilon"], 1.0 - 0.9 * 0.5, rtol=1e-6)


def test_a_warm_up_remembers_and_learns_nothing():
    algorithm = algorithm_of()
    state = linear_state(algorithm)
    after, metrics = warm_up(algorithm, state, some_rollout(), KEY)
    assert_trees_close(after._replace(memory=None), state._replace(memory=None), rtol=0)
    # 2 of 9 slots of every env: the transition and its successor
    np.testing.assert_allclose(metrics["buffer_fill"], 2 / 9, rtol=1e-6)
    assert after.memory.step == 1


@pytest.mark.parametrize(("epsilon", "share"), [(0.0, 1.0), (0.5, 0.75), (1.0, 0.5)])
def test_actions_are_random_with_probability_epsilon(epsilon, share):
    # a random action is the best one half of the time; five deviations of 2000 draws are 0.06
    algorithm = algorithm_of(replace(LINEAR, epsilon_start=epsilon, epsilon_end=epsilon))
    obs = jnp.tile(floats([[1.0, 3.0]]), (2000, 1))
    actions, _ = act(algorithm, linear_state(algorithm), obs, jax.random.split(KEY, 2000))
    assert abs(actions.mean() - share) < 0.06


def test_neither_the_best_nor_a_random_action_is_illegal():
    obs = MaskedObs(
        jnp.tile(floats([[9.0, 1.0]]), (500, 1)), jnp.tile(jnp.array([False, True]), (500, 1))
    )
    keys = jax.random.split(KEY, 500)
    for epsilon in (0.0, 1.0):
        config = replace(LINEAR, epsilon_start=epsilon, epsilon_end=epsilon)
        algorithm = algorithm_of(config, Masked(SPACE, 2))
        actions, _ = act(algorithm, linear_state(algorithm), obs, keys)
        assert (actions == 1).all()
    random = jax.vmap(partial(random_action, CHOICES))(obs, keys)
    assert (random == 1).all()
    one = jax.tree.map(lambda x: x[0], obs)
    assert algorithm.greedy(linear_state(algorithm), one) == 1
    assert algorithm.value(linear_state(algorithm), one) == 1.0  # of the illegal one: 9


@pytest.mark.parametrize(
    ("updates", "expected"), [(0, 0.2), (5, 0.15), (10, 0.1), (20, 0.0), (99, 0.0)]
)
def test_the_learning_rate_falls_with_env_steps(updates, expected):
    # 2 env steps an update, 40 in all
    config = replace(LINEAR, lr=0.2, lr_end=0.0, schedule_steps=40.0)
    algorithm = algorithm_of(config)
    state = linear_state(algorithm)
    state = state._replace(memory=memory_of(algorithm, updates))
    after, metrics, _ = learn(algorithm, state, slot_batches(1), KEY)
    np.testing.assert_allclose(metrics["lr"], expected, atol=1e-7)
    moved = np.abs(after.params.head.bias - state.params.head.bias).max()
    np.testing.assert_allclose(moved, expected, atol=1e-5)  # the first step of Adam is lr


def test_priorities_become_the_errors_of_the_examples_that_were_drawn():
    # Q is obs and nothing ends: |r + 0.5 max(next_obs) - obs[action]|, to the power 0.6; what was
    # not drawn keeps the 1 of a newcomer, and a slot without a transition its 0
    algorithm = algorithm_of(replace(LINEAR, prioritized=True, batch_size=4))
    rollout = some_rollout(steps=3)
    after, _ = update(algorithm, linear_state(algorithm), rollout, KEY)
    obs, action, reward = (np.asarray(x) for x in (rollout.obs, rollout.action, rollout.reward))
    taken = np.take_along_axis(obs, action[..., None], -1)[..., 0]
    successor = np.concatenate([obs[1:], obs[-1:] + 1.0])
    error = np.abs(reward + 0.5 * successor.max(-1) - taken)
    priorities = np.asarray(after.memory.ring.priorities.levels[-1])[:18].reshape(2, 9)
    now, expected = priorities[:, :3].T, (error + 1e-6) ** 0.6
    drawn = np.abs(now - 1.0) > 1e-6
    assert drawn.any()
    np.testing.assert_allclose(now[drawn], expected[drawn], rtol=1e-4)
    np.testing.assert_array_equal(priorities[:, 3:], 0.0)


def test_the_correction_of_priorities_is_whole_in_the_end():
    algorithm = algorithm_of(replace(LINEAR, priority_beta=0.4, schedule_steps=40.0))
    for updates, expected in ((0, 0.4), (10, 0.7), (20, 1.0), (99, 1.0)):
        beta = algorithm.beta(memory_of(algorithm, updates))
        np.testing.assert_allclose(beta, expected, rtol=1e-6)


DUELING = DQNConfig(hidden_sizes=(2,), dueling=True)


def duelling_network(advantage_bias=(0.0, 0.0)):
    """Advantages are the positive part of the observation, the value is their sum."""
    eye, none = floats(EYE), floats([0.0, 0.0])
    shapes = jax.eval_shape(algorithm_of(DUELING).network, KEY)
    parts = lambda p: (p.advantage.hidden, p.advantage.head, p.value.hidden, p.value.head)  # noqa: E731
    leaves = [
        eye,
        none,
        eye,
        floats(advantage_bias),
        eye,
        none,
        floats([[1.0, 1.0]]),
        floats([0.0]),
    ]
    return eqx.tree_at(lambda p: jax.tree.leaves(parts(p)), shapes, leaves)


def test_duelling_values_are_the_states_value_and_advantages_around_their_mean():
    # obs (3, 1): advantages 3 and 1, mean 2, value 4: 4 + 3 - 2 and 4 + 1 - 2
    network = duelling_network()
    np.testing.assert_allclose(network(floats([3.0, 1.0])), [5.0, 3.0])
    np.testing.assert_allclose(
        network.batch(floats([[3.0, 1.0], [2.0, 2.0]])), [[5.0, 4.0], [3.0, 4.0]]
    )


def test_a_constant_added_to_all_advantages_changes_no_value():
    obs = floats([3.0, 1.0])
    np.testing.assert_allclose(
        duelling_network((7.0, 7.0))(obs), duelling_network()(obs), rtol=1e-6
    )


def test_a_duelling_network_has_the_layers_it_was_asked_for():
    network = jax.eval_shape(algorithm_of(replace(DUELING, hidden_sizes=(5, 4, 3))).network, KEY)
    assert [layer.bias.shape for layer in network.encoder.mlp.layers] == [(5,), (4,)]
    assert network.advantage.hidden.layers[0].weight.shape == (3, 4)
    assert (network.advantage.head.bias.shape, network.value.head.bias.shape) == ((2,), (1,))


EVERYTHING = Masked(Dict({"a": SPACE, "b": Discrete(3), "c": Image(5, 5, 1)}), 3)


@pytest.mark.parametrize(
    ("space", "dueling"),
    [(SPACE, False), (Image(6, 6, 2), False), (EVERYTHING, False), (EVERYTHING, True)],
    ids=["numbers", "image", "everything", "everything, duelling"],
)
def test_a_batch_has_the_values_of_its_examples(space, dueling):

    def encoder(key, hidden_sizes=(7, 5)):
        return Encoder(key, space, hidden_sizes, "relu", ((4, 3, 1),))

    def network(key):
        if dueling:
            return DuelingQNetwork(key, encoder, (7, 5), 3, "relu")
        return QNetwork(key, encoder, 3)

    params = filled(jax.eval_shape(network, KEY))
    obs = jax.jit(jax.vmap(space.sample))(jax.random.split(KEY, 6))
    together = jax.jit(lambda params: params.batch(obs))(params)
    one_by_one = jax.jit(lambda params: jax.vmap(params, out_axes=-1)(obs))(params)
    assert together.shape == (3, 6)
    np.testing.assert_allclose(together, one_by_one, rtol=1e-4, atol=1e-3)


def test_observations_are_seen_through_statistics_of_all_that_came_before():
    # obs 0 and 2 of each number have mean 1 and deviation 1: (3, 1) is seen as (2, 0), and a
    # replayed example too
    algorithm = algorithm_of(replace(LINEAR, normalize_obs=True))
    state = linear_state(algorithm)
    obs = floats([[[0.0, 0.0], [2.0, 2.0]]])  # [T, N, ...]
    state, _ = warm_up(algorithm, state, some_rollout()._replace(obs=obs), KEY)
    np.testing.assert_allclose(algorithm.values(state, floats([3.0, 1.0])), [2.0, 0.0], atol=1e-6)
    batches = stacked(batch_of([[3.0, 1.0]], [0], reward=5.0))
    _, metrics, _ = jax.jit(lambda a, *x: a.learn_from(*x))(algorithm, state, batches, KEY)
    np.testing.assert_allclose(metrics["q_mean"], 2.0, rtol=1e-6)
    np.testing.assert_allclose(metrics["td_error"], 3.0, rtol=1e-6)


def test_random_choices_are_held_for_as_many_steps_as_asked():
    # each of 2 envs changes its key every 3 steps, not both at once, across rollouts of 2 steps
    algorithm = algorithm_of(replace(LINEAR, exploration_hold=3, train_every=2))
    state = linear_state(algorithm)
    seen = []
    for k in range(6):
        at = state._replace(memory=state.memory._replace(step=jnp.int32(k)))
        fresh = jax.random.split(jax.random.fold_in(KEY, k), (2, 2))
        seen.extend(np.asarray(jax.random.key_data(algorithm.act_keys(at, fresh))))
    changes = (np.diff(np.array(seen), axis=0) != 0).any(-1).T
    assert [list(np.flatnonzero(c) % 3) for c in changes] == [[2] * 3, [1] * 4]
    keys = algorithm_of().act_keys(state, fresh)
    np.testing.assert_array_equal(jax.random.key_data(keys), jax.random.key_data(fresh))
