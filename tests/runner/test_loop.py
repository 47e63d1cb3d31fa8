"""The device side of training: what is collected; chunking, jit and params change nothing."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from probes import Constants, Counter
from vibe_rl.algorithms.ppo import PPO, PPOConfig
from vibe_rl.env import AutoResetWrapper, make
from vibe_rl.env.wrappers import with_episode_statistics
from vibe_rl.ops import prng
from vibe_rl.runner import loop

CONFIG = PPOConfig(hidden_sizes=(8,), n_steps=8, num_envs=4, normalize_obs=True)


LINEAR = replace(CONFIG, hidden_sizes=(), n_steps=2, n_epochs=1, n_minibatches=1)


def setup(env, config=CONFIG, seed=0):
    env = with_episode_statistics(AutoResetWrapper(env))
    params = env.default_params()
    algorithm = PPO(config, env.observation_space(params), env.action_space(params))
    key = prng.key(seed)
    state = loop.jit_start(algorithm, env, params, key, num_envs=config.num_envs)
    return algorithm, env, params, state


def run(algorithm, env, params, state, lengths):
    chunks = loop.training(algorithm, env, state, [(n, params) for n in lengths])
    columns = [(chunk.metrics.columns(chunk.n_updates), chunk.state) for chunk in chunks]
    table = {name: np.concatenate([c[name] for c, _ in columns]) for name in columns[0][0]}
    return columns[-1][1], table


def assert_identical(a, b):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(bits(x), bits(y))


def bits(x):
    return jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x


@pytest.mark.parametrize("lengths", [[1] * 6, [2, 4], [5, 1]])
def test_any_chunking_gives_the_same_bits(lengths):
    env, _ = make("CartPole-v1")
    state, table = run(*setup(env), [6])
    other_state, other_table = run(*setup(env), lengths)
    assert_identical(state, other_state)
    assert_identical(table, other_table)


def test_numbers_seeds_and_lengths_compile_nothing_again():
    env, _ = make("CartPole-v1")
    run(*setup(env), [1])
    chunks, starts = loop.run_chunk._cache_size(), loop.jit_start._cache_size()
    config = replace(CONFIG, lr=1e-2, gamma=0.5, clip_eps=0.3, ent_coef=0.2, max_grad_norm=9.0)
    run(*setup(env, config, seed=7), [3, 2])
    assert (loop.run_chunk._cache_size(), loop.jit_start._cache_size()) == (chunks, starts)


def test_no_key_is_used_twice_in_a_chunk():
    env = with_episode_statistics(AutoResetWrapper(make("CartPole-v1")[0]))
    params = env.default_params()
    config = replace(CONFIG, n_steps=4, n_epochs=1)
    algorithm = PPO(config, env.observation_space(params), env.action_space(params))

    def chunk(key):
        state = loop.start(algorithm, env, params, key, num_envs=4)
        return loop.run_chunk(algorithm, env, params, state, 2)

    with jax.debug_key_reuse(True):  # found while it is traced, in keys of JAX's own generators
        jax.eval_shape(jax.jit(chunk), jax.random.key(0))


def test_next_obs_is_the_true_successor_at_and_between_episode_ends():
    # Counter observes -1, 0.1, 0.2 | 0.3 is the last of an episode and is never acted on
    algorithm, env, params, state = setup(Counter())
    _, rollout = loop.collect(algorithm, env, params, state, prng.key(1))
    obs, successor = rollout.transition.obs[..., 0], rollout.transition.next_obs[..., 0]
    np.testing.assert_allclose(obs[:6, 0], [-1.0, 0.1, 0.2, -1.0, 0.1, 0.2], rtol=1e-6)
    np.testing.assert_allclose(successor[:6, 0], [0.1, 0.2, 0.3, 0.1, 0.2, 0.3], rtol=1e-6)
    truncated = rollout.transition.truncated[:6, 0]
    np.testing.assert_array_equal(truncated, [False, False, True] * 2)
    assert not rollout.transition.terminated.any()


def test_episodes_are_counted_whole_across_rollouts():
    # 8 steps of 3-step episodes: 2 end in the first rollout, 3 in the second (steps 9, 12, 15)
    _, table = run(*setup(Counter()), [2])
    np.testing.assert_array_equal(table["episodes"], [8, 12])  # over 4 envs
    np.testing.assert_array_equal(table["return_sum"], [24.0, 36.0])
    np.testing.assert_array_equal(table["length_sum"], [24.0, 36.0])
    np.testing.assert_array_equal(table["return_max"], [3.0, 3.0])


def test_metrics_of_the_env_are_averaged():
    _, table = run(*setup(Counter()), [3])
    assert ((table["action_mean"] > 0.0) & (table["action_mean"] < 1.0)).all()


def test_every_env_may_have_params_of_its_own():
    algorithm, env, _, _ = setup(Counter())
    params = Constants(reward=jnp.arange(4.0))
    state = loop.start(algorithm, env, params, prng.key(0), num_envs=4)
    _, rollout = loop.collect(algorithm, env, params, state, prng.key(1))
    np.testing.assert_array_equal(rollout.transition.reward, np.tile(np.arange(4.0), (8, 1)))


def test_new_params_in_the_schedule_compiles_nothing_again():
    algorithm, env, params, state = setup(Counter())
    state, _ = run(algorithm, env, params, state, [1])
    before = loop.run_chunk._cache_size()
    _, table = run(algorithm, env, Constants(reward=np.float32(5.0)), state, [1])
    assert loop.run_chunk._cache_size() == before
    assert table["return_max"][0] == 15.0  # of three steps


def test_jit_gives_what_plain_python_gives():
    algorithm, env, params, state = setup(Counter(), LINEAR)
    with jax.disable_jit():
        _, eager = loop.iteration(algorithm, env, params, state)
    _, compiled = jax.jit(loop.iteration, static_argnums=1)(algorithm, env, params, state)
    for name, value in eager.metrics.items():
        expected = compiled.metrics[name]
        np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-5, err_msg=name)


def test_seeds_are_one_more_axis():
    env, _ = make("CartPole-v1")
    singles = [run(*setup(env, seed=seed), [2])[0] for seed in (3, 4)]
    algorithm, env, params, _ = setup(env)
    keys = jnp.stack([prng.key(3), prng.key(4)])
    start = jax.jit(jax.vmap(lambda key: loop.start(algorithm, env, params, key, num_envs=4)))
    many, _ = jax.vmap(lambda s: loop.run_chunk(algorithm, env, params, s, 2))(start(keys))
    for i, single in enumerate(singles):
        for x, y in zip(
            jax.tree.leaves(many.agent_state), jax.tree.leaves(single.agent_state), strict=True
        ):
            np.testing.assert_allclose(x[i], y, rtol=2e-4, atol=2e-5)


def test_the_table_of_metrics_does_not_grow_with_the_number_of_updates():
    algorithm, env, params, state = setup(Counter())
    short, long = (
        jax.eval_shape(lambda s, n=n: loop.run_chunk(algorithm, env, params, s, n), state)
        for n in (1, 10**6)
    )
    assert jax.tree.map(jnp.shape, short) == jax.tree.map(jnp.shape, long)
