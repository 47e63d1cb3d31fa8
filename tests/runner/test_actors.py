"""Random, scripted and learned players: what they see, and that they play as agents do."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from probes import Climber, Constants, Counter, ForbiddenInRooms
from vibe_rl.algorithms.ppo import PPO, PPOConfig
from vibe_rl.env import AutoResetWrapper, GymnasiumWrapper, ObsNormWrapper, TimeLimitWrapper, make
from vibe_rl.errors import UnknownNameError
from vibe_rl.runner.actors import (
    Greedy,
    Sampled,
    _play_on_device,
    actor_named,
    actors_of,
    collect_from,
    evaluate_actor,
)
from vibe_rl.runner.evaluator import evaluate, greedy_action

KEY = jax.random.key(5)
HOW = {"n_episodes": 8, "max_steps": 20, "rng": KEY}


def agent_of(env, params):
    algorithm = PPO(
        PPOConfig(hidden_sizes=(4,)), env.observation_space(params), env.action_space(params)
    )
    return algorithm, algorithm.init(jax.random.key(1))


def alternate(obs, env_state, env_params, key):
    """Action 1 at even times, from the state of the env below all wrappers."""
    return (env_state.time % 2 == 0).astype(jnp.int32)


class PaysForOne(Counter):
    """Pays 1 for action 1."""

    def reward(self, state, action, params):
        return jnp.float32(action)


def test_a_script_sees_the_state_of_its_own_environment_below_all_wrappers():
    bare = PaysForOne(length=5)
    wrapped = AutoResetWrapper(TimeLimitWrapper(ObsNormWrapper(bare), 4))
    scores = [evaluate_actor(alternate, e, e.default_params(), **HOW) for e in (bare, wrapped)]
    np.testing.assert_array_equal(scores[0].episode_returns, np.full(8, 3.0))
    np.testing.assert_array_equal(scores[1].episode_returns, np.full(8, 2.0))
    np.testing.assert_array_equal(scores[1].episode_lengths, np.full(8, 4))


def test_random_play_takes_every_legal_action_and_no_other():
    env = AutoResetWrapper(ForbiddenInRooms())
    params = env.default_params()
    random = actor_named("random", env, params)
    met = collect_from(random, env, params, KEY, num_envs=4, n_steps=50)
    assert met.transition.action.shape == (50, 4)
    counts = np.bincount(met.transition.action.reshape(-1), minlength=3)
    assert counts[1] == 0, "which is never legal"
    assert (counts[[0, 2]] > 60).all()  # of 200, evenly; 60 is 5.6 standard deviations below


def test_what_is_collected_from_an_actor_is_whole_experience():
    env = AutoResetWrapper(Climber())
    met = collect_from(
        alternate, env, Constants(np.arange(2, dtype=np.float32)), KEY, num_envs=2, n_steps=6
    )
    np.testing.assert_array_equal(met.transition.action[:, 0], [1, 0, 1, 1, 0, 1])
    np.testing.assert_array_equal(met.transition.reward, np.tile([0.0, 1.0], (6, 1)))
    np.testing.assert_array_equal(met.transition.truncated[:, 0], [False, False, True] * 2)
    np.testing.assert_allclose(met.transition.next_obs[:3, 0, 0], [0.1, 0.2, 0.3], rtol=1e-6)
    np.testing.assert_array_equal(met.own["episode max highest"][2], [0.0, 1.0])


def test_a_greedy_agent_as_an_actor_plays_the_episodes_that_evaluate_plays():
    env, params = make("CartPole-v1")
    agent = agent_of(env, params)
    first = [
        evaluate_actor(Greedy(*agent), env, params, **HOW),
        evaluate(greedy_action, agent, env, params, **HOW),
    ]
    np.testing.assert_array_equal(*(scores.episode_returns for scores in first))


def test_a_sampling_agent_does_not_always_do_what_it_thinks_best():
    env = AutoResetWrapper(PaysForOne(length=20))
    params = env.default_params()
    greedy, sampled = (
        evaluate_actor(kind(*agent_of(env, params)), env, params, **HOW).episode_returns
        for kind in (Greedy, Sampled)
    )
    assert len(set(greedy.tolist())) == 1
    assert len(set(sampled.tolist())) > 1


def test_actors_have_the_same_episodes_before_them_and_other_seeds_other_ones():
    env, params = make("CartPole-v1")
    lean, how = actor_named("lean", env, params), HOW | {"max_steps": 500}
    same = [evaluate_actor(lean, env, params, **how).episode_returns for _ in range(2)]
    np.testing.assert_array_equal(*same)
    other = evaluate_actor(lean, env, params, **how | {"rng": jax.random.key(6)})
    assert not np.array_equal(same[0], other.episode_returns)


def test_an_agent_that_has_learned_something_else_compiles_nothing_again():
    env = Counter(length=7)
    params = env.default_params()
    algorithm, state = agent_of(env, params)
    evaluate_actor(Greedy(algorithm, state), env, params, **HOW)
    before = _play_on_device._cache_size()
    evaluate_actor(Greedy(algorithm, jax.tree.map(lambda x: x + 1, state)), env, params, **HOW)
    assert _play_on_device._cache_size() == before


def test_a_two_line_script_of_cart_pole_beats_chance():
    # of 8 episodes: chance reaches 20 steps or so, leaning at least 24
    env, params = make("CartPole-v1")
    how = HOW | {"max_steps": 500}
    random, lean = (
        float(evaluate_actor(actor_named(name, env, params), env, params, **how).mean_return)
        for name in ("random", "lean")
    )
    assert lean > 30 > random


def test_the_environment_names_its_actors_and_an_unknown_one_is_refused():
    env, params = make("CartPole-v1")
    assert list(actors_of(AutoResetWrapper(env), params)) == ["random", "lean"]
    with pytest.raises(UnknownNameError, match="unknown actor 'leen': did you mean lean"):
        actor_named("leen", env, params)


def test_any_actor_plays_environments_in_python_too():
    env = GymnasiumWrapper("CartPole-v1")
    random = actor_named("random", env, ())
    how = HOW | {"n_episodes": 20, "max_steps": 500}
    scores = evaluate_actor(random, env, (), **how)
    again = evaluate_actor(random, env, (), **how)
    np.testing.assert_array_equal(scores.episode_returns, again.episode_returns)
    assert scores.finished.all()
    assert 15 < float(scores.mean_return) < 35  # chance: 22, standard error 2.7
