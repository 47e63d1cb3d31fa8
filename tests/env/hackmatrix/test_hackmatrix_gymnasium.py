"""HackMatrix as Gymnasium's environment: its checker, its seeds, and the end of its process."""

import gc
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from random import Random

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from random_states import random_state
from worked_examples import enemy, given

from processes import environ
from vibe_rl.env import make
from vibe_rl.env.hackmatrix import rules
from vibe_rl.env.hackmatrix.gymnasium_env import ID, HackMatrixEnv
from vibe_rl.env.hackmatrix.line_protocol.client import Client
from vibe_rl.env.hackmatrix.line_protocol.decoding import decoded
from vibe_rl.env.hackmatrix.reference import game
from vibe_rl.env.hackmatrix.reference.line_protocol import protocol
from vibe_rl.errors import ConfigError


@pytest.fixture
def env():
    made = gymnasium.make(ID)
    yield made
    made.close()


def lives(pid):
    """Whether a process runs; one that has ended but has not been waited for does not."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def ends(pid, seconds=30.0):
    limit = time.monotonic() + seconds
    while lives(pid) and time.monotonic() < limit:
        time.sleep(0.02)
    return not lives(pid)


def pid_of(env):
    return env.unwrapped._client.pid


def play(env, seed, steps=60):
    """Observations and rewards of random actions that are allowed."""
    random = np.random.default_rng(0)
    observation, info = env.reset(seed=seed)
    seen = [observation]
    for _ in range(steps):
        legal = np.flatnonzero(info["action_mask"])
        assert list(np.flatnonzero(env.unwrapped.action_masks())) == list(legal)
        observation, reward, done, _, info = env.step(random.choice(legal))
        seen += [observation, reward]
        if done:
            break
    return seen, done, info


def test_gymnasiums_checker_finds_nothing(env):
    check_env(env.unwrapped)


def test_it_is_made_by_its_module_and_name():
    module = HackMatrixEnv.__module__
    code = f"import gymnasium; gymnasium.make('{module}:{ID}').close()"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, env=environ())


def test_the_library_registers_it_where_it_makes_it(monkeypatch):
    """As for `vibe-rl watch MODEL.zip`, which nothing else imports it for."""
    monkeypatch.delitem(gymnasium.registry, ID)
    monkeypatch.delitem(sys.modules, "vibe_rl.env.hackmatrix.gymnasium_env")
    env, params = make(f"gymnasium:{ID}")
    assert env.action_space(params).n == rules.N_ACTIONS


def test_a_seed_makes_the_same_game(env):
    first, again, other = play(env, 3)[0], play(env, 3)[0], play(env, 4)[0]
    assert str(first) == str(again) != str(other)
    np.testing.assert_equal(first, again)


def test_an_episode_ends_with_what_it_adds_up_to(env):
    seen, done, info = play(env, 0, steps=1000)
    assert done
    assert "action_mask" not in info
    stats = info["episode_stats"]
    rewards = seen[2::2]
    assert stats["steps"] == len(rewards) == sum(stats["action_counts"].values())
    assert sum(stats["reward_breakdown"].values()) == pytest.approx(sum(rewards))
    assert len(stats["reward_breakdown"]) == len(rules.PARTS)
    assert set(stats["action_counts"]) == {"move", "siphon", "program"}
    assert stats["highest_stage"] >= 1


def test_an_episode_that_a_time_limit_ends_has_its_sums_and_its_mask():
    env = gymnasium.make(ID, max_episode_steps=2)
    env.reset(seed=0, options={"state": given(0, 0)})
    assert "episode_stats" not in env.step(rules.UP)[4]
    *_, terminated, truncated, info = env.step(rules.UP)
    assert (terminated, truncated) == (False, True)
    assert info["episode_stats"]["steps"] == 2
    assert "action_mask" in info
    env.close()


def test_the_time_limit_is_that_of_the_rules():
    assert gymnasium.spec(ID).max_episode_steps == rules.TIME_LIMIT == 1000


def test_programs_are_counted(env):
    env.reset(options={"state": given(3, 3, owned=(rules.WAIT,), energy=9, hp=1)})
    env.step(rules.FIRST_PROGRAM + rules.WAIT)
    *_, info = env.step(rules.FIRST_PROGRAM + rules.PUSH)
    stats = info["episode_stats"]
    assert info["invalid_action"] is True
    assert stats["action_counts"] == {"move": 0, "siphon": 0, "program": 2}
    assert stats["programs_used"] == 1


def test_what_the_line_carries_is_what_the_reference_observes():
    random = Random(1)
    for _ in range(60):
        state = random_state(random)
        arrays = decoded(protocol.observation_as_json(state, []))
        player, programs, grid = game.observation(state)
        assert arrays["programs"].tolist() == programs
        np.testing.assert_array_equal(arrays["player"], np.asarray(player, np.float32))
        np.testing.assert_array_equal(arrays["grid"], np.asarray(grid, np.float32))


def test_it_is_seen_as_text():
    with closing(gymnasium.make(ID, render_mode="ansi")) as env:
        env.reset(options={"state": given(0, 0)})
        assert "@" in env.render().splitlines()[11]  # the lowest row of cells
        env.step(rules.UP)
        assert "turn 1" in env.render()
    with closing(HackMatrixEnv()) as silent:
        silent.reset()
        assert silent.render() is None


def test_closing_ends_the_process(env):
    pid = pid_of(env)
    assert lives(pid)
    env.close()
    assert ends(pid)
    env.close()


def test_an_environment_that_nobody_holds_ends_its_process():
    env = HackMatrixEnv()
    pid = pid_of(env)
    del env
    gc.collect()
    assert ends(pid)


def test_the_process_ends_with_one_that_is_killed():
    module = HackMatrixEnv.__module__
    code = (
        f"import time; from {module} import HackMatrixEnv; env = HackMatrixEnv(); env.reset(); "
        "print(env._client.pid, flush=True); time.sleep(100)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, env=environ()
    ) as owner:
        pid = int(owner.stdout.readline())
        assert lives(pid)
        owner.kill()
        assert ends(pid)


@pytest.mark.parametrize("call", ["reset", "step"])
def test_a_dead_server_is_one_clear_error(env, call):
    env.reset()
    os.kill(pid_of(env), signal.SIGKILL)
    assert ends(pid_of(env))
    with pytest.raises(ConfigError, match=r"has ended .*: make the environment anew"):
        env.reset() if call == "reset" else env.step(0)


def test_a_closed_client_says_so():
    client = Client()
    client.close()
    with pytest.raises(ConfigError, match="make the environment anew"):
        client.ask("reset")


def test_a_state_outside_the_rules_is_refused_and_the_game_goes_on(env):
    with pytest.raises(ConfigError, match=r"enemies\[0\].hp 9: give a whole number from 1 to 2"):
        env.reset(options={"state": given(0, 0, enemies=[enemy("virus", 1, 1, 9)])})
    env.reset()


@pytest.mark.parametrize("action", [1.5, "up", None, np.array([1]), 28])
def test_what_is_no_action_is_refused_and_the_game_goes_on(env, action):
    env.reset(seed=0)
    with pytest.raises(ConfigError, match="give a whole number from 0 to 27"):
        env.unwrapped.step(action)
    assert env.unwrapped.action_masks().any()


def test_an_unknown_shaping_starts_no_process():
    with pytest.raises(ConfigError, match="unknown shaping 'x': choose from published, signed"):
        HackMatrixEnv(shaping="x")
