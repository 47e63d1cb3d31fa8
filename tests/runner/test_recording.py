"""One greedy episode with its states: the same as an evaluation's, and its GIF."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from probes import Counter
from vibe_rl.algorithms.ppo import PPO, PPOConfig
from vibe_rl.env import (
    AutoResetWrapper,
    EpisodeStatisticsWrapper,
    FrameStackWrapper,
    GymnasiumWrapper,
    HookWrapper,
    make,
)
from vibe_rl.errors import ConfigError
from vibe_rl.runner import recording
from vibe_rl.runner.evaluation import Extent, results_of
from vibe_rl.runner.executor import evaluate_on_device
from vibe_rl.runner.recording import frames, record, write_gif

KEY = jax.random.key(3)


def agent_for(env, params):
    algorithm = PPO(
        PPOConfig(hidden_sizes=(4,)), env.observation_space(params), env.action_space(params)
    )
    return algorithm, algorithm.init(jax.random.key(1))


def recorded(env, params, max_steps=1000):
    algorithm, state = agent_for(env, params)
    return record(algorithm, state, env, params, jax.random.split(KEY, 2)[1], max_steps)


def evaluated(env, params, max_steps=1000):
    algorithm, state = agent_for(env, params)
    return results_of(evaluate_on_device(algorithm, state, env, params, KEY, Extent(2, max_steps)))


def shaken(state, action, step, params):
    """A hook that keeps the step as it is."""
    return step


@pytest.mark.parametrize("piece", [4, 256])
@pytest.mark.parametrize("bare", [True, False])
def test_an_episode_is_that_of_an_evaluation_with_its_key(bare, piece, monkeypatch):
    monkeypatch.setattr(recording, "PIECE", piece)
    recording.jit_continue.clear_cache()
    env, params = make("CartPole-v1")
    env = env if bare else FrameStackWrapper(AutoResetWrapper(HookWrapper(env, shaken)), 2)
    tape, scores = recorded(env, params), evaluated(env, params)
    recording.jit_continue.clear_cache()
    assert tape.length == scores.episode_lengths[1]
    assert tape.length > 4
    assert tape.episode_return == scores.episode_returns[1] == tape.rewards.sum()
    assert tape.finished
    assert len(tape.rewards) == len(tape.actions) == tape.length


def test_the_last_state_is_the_one_that_ended_the_episode():
    env, params = make("CartPole-v1")
    tape = recorded(EpisodeStatisticsWrapper(AutoResetWrapper(env)), params)
    physics = tape.states.inner.physics
    assert len(physics) == tape.length + 1
    fallen = np.abs(physics[:, 2]) > params.theta_threshold_radians
    assert fallen.tolist() == [False] * tape.length + [True]


def test_each_state_is_the_step_of_the_one_before_with_the_recorded_action():
    env, params = make("CartPole-v1")
    tape = recorded(env, params)
    states = tape.states.inner
    before = jax.tree.map(lambda x: x[:-1], states)
    steps = jax.vmap(partial(env.step, KEY, params=params))(before, tape.actions)
    np.testing.assert_allclose(steps.state.physics, states.physics[1:], rtol=1e-6, atol=1e-6)


def test_an_episode_is_cut_at_max_steps():
    env, params = make("Pendulum-v1")
    tape = recorded(env, params, 7)
    assert (tape.length, tape.finished) == (7, False)
    assert tape.states.inner.theta.shape == (8,)


class ResetsItself(Counter):
    """Begins its next episode without an AutoResetWrapper."""

    def step(self, key, state, action, params):
        step = super().step(key, state, action, params)
        done = step.terminated | step.truncated
        first, fresh = self.reset(key, params)
        after = jax.tree.map(partial(jnp.where, done), (first, fresh), (step.obs, step.state))
        info = step.info | {"final_obs": step.obs}
        return step._replace(obs=after[0], state=after[1], info=info)


def test_a_last_state_that_nobody_knows_is_left_out():
    env = ResetsItself()
    tape = recorded(env, env.default_params())
    assert tape.finished
    assert [len(x) for x in jax.tree.leaves(tape.states)] == [tape.length] * len(
        jax.tree.leaves(tape.states)
    )


@dataclass(frozen=True)
class WithKey(Counter):
    """Has a random key in its state."""

    def reset(self, key, params):
        obs, state = super().reset(key, params)
        return obs, (state, key)

    def step(self, key, state, action, params):
        step = super().step(key, state[0], action, params)
        return step._replace(state=(step.state, key))


def test_random_keys_in_a_state_are_recorded_as_numbers():
    env = WithKey()
    tape = recorded(AutoResetWrapper(env), env.default_params())
    assert tape.states.inner[1].dtype == np.uint32


def test_an_environment_in_python_is_refused():
    env = GymnasiumWrapper("CartPole-v1")
    algorithm, state = agent_for(env, ())
    with pytest.raises(ConfigError, match="GymnasiumWrapper runs in Python"):
        record(algorithm, state, env, (), KEY, 10)


def test_a_gif_shows_every_state_and_repeats(tmp_path):
    env, params = make("CartPole-v1")
    env = AutoResetWrapper(env)
    tape = recorded(env, params)
    pictures = list(frames(tape, env, params))
    write_gif(iter(pictures), tmp_path / "a.gif", fps=50)
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.info["loop"] == 0
        assert gif.info["duration"] == 20
        assert gif.n_frames == len(pictures) == tape.length + 1
        gif.seek(gif.n_frames - 1)
        last = np.asarray(gif.convert("RGB"), int)
    assert np.abs(last - pictures[-1]).max() < 40
    assert np.abs(last - pictures[0]).max() > 100
    assert [path.name for path in tmp_path.iterdir()] == ["a.gif"]


def test_a_gif_that_cannot_be_finished_leaves_nothing(tmp_path):
    def pictures():
        yield np.zeros((4, 4, 3), np.uint8)
        yield from (np.full((4, 4, 3), 9, np.uint8) for _ in range(80))
        raise RuntimeError("of the drawing")

    (tmp_path / "a.gif").write_bytes(b"kept")
    with pytest.raises(RuntimeError):
        write_gif(pictures(), tmp_path / "a.gif", fps=10)
    assert (tmp_path / "a.gif").read_bytes() == b"kept"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("fps", [0, -1, 51, float("nan")])
def test_a_speed_that_no_gif_has_is_refused(fps, tmp_path):
    with pytest.raises(ConfigError, match="fps"):
        write_gif([np.zeros((4, 4, 3), np.uint8)], tmp_path / "a.gif", fps)


def test_no_pictures_and_an_environment_without_any_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="at least one"):
        write_gif([], tmp_path / "a.gif", 10)
    env = Counter()
    tape = recorded(env, env.default_params())
    with pytest.raises(ConfigError, match="Counter has no picture"):
        frames(tape, env, env.default_params())
