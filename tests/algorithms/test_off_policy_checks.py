"""Settings with which DQN and SAC cannot work are refused in one sentence, before anything runs."""

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from probes import BlackOrWhite, Constants, Continuous, Forbidden, NamedMetric, Probe, TwoChoices
from vibe_rl.algorithms import off_policy
from vibe_rl.algorithms.dqn import DQNConfig
from vibe_rl.algorithms.ppo import PPOConfig
from vibe_rl.algorithms.sac import SACConfig
from vibe_rl.env import AutoResetWrapper, Box, Discrete, Image, Masked
from vibe_rl.errors import ConfigError
from vibe_rl.run_dir import RunDir
from vibe_rl.runner import RunnerConfig, hybrid, loop, train_dqn, train_ppo, train_sac
from vibe_rl.runner.train_dqn import dqn
from vibe_rl.types import MaskedObs

DQN = DQNConfig(hidden_sizes=(8,), batch_size=16)
SAC = SACConfig(hidden_sizes=(8,), batch_size=16)
RUNNER = RunnerConfig(
    total_timesteps=400, warmup_steps=48, buffer_size=200, eval_episodes=0, progress_bar=False
)


class Unbounded(Continuous):
    """No bounds."""

    def action_space(self, params):
        return Box(-np.inf, np.inf, (1,))


class Matrix(Continuous):
    """Actions in two axes."""

    def action_space(self, params):
        return Box(-1.0, 1.0, (2, 2))


class FewMasks(Forbidden):
    """Masks two actions of three."""

    def observation_space(self, params):
        return Masked(Box(-1.0, 1.0, (1,)), 2)

    def first(self, key):
        return MaskedObs(np.zeros(1, np.float32), np.ones(2, bool))


class MaskedContinuous(Continuous):
    """Masks actions that are no choices."""

    def observation_space(self, params):
        return Masked(Box(-1.0, 1.0, (1,)), 1)


@dataclass(frozen=True)
class Film(Probe):
    """A large picture each step."""

    def observation_space(self, params):
        return Image(200, 200, 3)

    def first(self, key):
        return jnp.zeros((200, 200, 3), jnp.uint8)


def changed(config: Any, **changes: Any) -> Any:
    return replace(config, **changes)


BAD = [
    # spaces
    (Continuous(), DQN, {}, r"DQN supports Discrete actions, not Box\(.*\): use SAC or PPO"),
    (TwoChoices(), DQN, {}, r"DQN supports Discrete actions, not MultiDiscrete\(.*use PPO"),
    (FewMasks(), DQN, {}, r"observations mask 2 actions and there are 3: masks need one entry per"),
    (TwoChoices(), SAC, {}, r"SAC supports Discrete .*Boxes with one axis, not MultiD.*: use PPO"),
    (
        Matrix(),
        SAC,
        {},
        r"SAC supports Discrete .*Boxes with one axis, not Box.*: flatten them",
    ),
    (Unbounded(), SAC, {}, r"SAC needs bounded actions, and Box\(.*\) is not bounded: use PPO"),
    (FewMasks(), SAC, {}, r"observations mask 2 actions and there are 3"),
    (MaskedContinuous(), SAC, {}, r"observations mask actions, and Box\(.*\) has no choices"),
    (
        BlackOrWhite(),
        changed(DQN, normalize_obs=True),
        {},
        "normalize_obs True needs observations that are Boxes: turn it off",
    ),
    # numbers
    (Probe(), changed(DQN, target_update_freq=0), {}, "target_update_freq 0: give at least 1"),
    (Probe(), changed(DQN, tau=2.0), {}, "tau 2.0: give a number from 0 to 1"),
    (Probe(), changed(DQN, epsilon_end=-0.1), {}, "epsilon_end -0.1: give a number from 0 to 1"),
    (Probe(), changed(DQN, epsilon_start=float("nan")), {}, "epsilon_start nan: give a number"),
    (Probe(), changed(DQN, gamma=1.5), {}, "gamma 1.5: give a number from 0 to 1"),
    (Probe(), changed(DQN, lr=-1.0), {}, "lr -1.0: give at least 0"),
    (Probe(), changed(DQN, n_step=0), {}, "n_step 0: give at least 1"),
    (Probe(), changed(DQN, train_every=0), {}, "train_every 0: give at least 1"),
    (Probe(), changed(DQN, exploration_hold=0), {}, "exploration_hold 0: give at least 1"),
    (Probe(), changed(DQN, loss="cubic"), {}, "unknown loss 'cubic': choose from huber, squared"),
    (Probe(), changed(DQN, loss="squard"), {}, "unknown loss 'squard': did you mean squared"),
    (Probe(), changed(DQN, activation="sine"), {}, "unknown activation 'sine'"),
    (
        Probe(),
        changed(DQN, hidden_sizes=(8, 0)),
        {},
        r"hidden_sizes \(8, 0\): give widths of at least 1",
    ),
    (
        Probe(),
        changed(DQN, dueling=True, hidden_sizes=()),
        {},
        "dueling True needs a dense layer: give hidden_sizes",
    ),
    (Probe(), changed(DQN, max_grad_norm=0.0), {}, "max_grad_norm 0.0: give more than 0"),
    (
        Probe(),
        changed(SAC, target_entropy_scale=2.5),
        {},
        "target_entropy_scale 2.5 asks for more entropy than any policy .*: give at most 2",
    ),
    (Probe(), changed(SAC, n_critics=0), {}, "n_critics 0: give at least 1"),
    (Probe(), changed(SAC, tau=2.0), {}, "tau 2.0: give a number from 0 to 1"),
    (Probe(), changed(SAC, critic_lr=-1.0), {}, "critic_lr -1.0: give at least 0"),
    (Probe(), changed(SAC, init_alpha=-1.0), {}, "init_alpha -1.0: give at least 1e-06"),
    (
        Continuous(),
        changed(SAC, log_std_min=2.0),
        {},
        "log_std_min 2.0 is not below log_std_max 2.0: give a smaller one",
    ),
    # sizes that must go together
    (
        Probe(),
        changed(DQN, batch_size=49),
        {},
        "batch_size 49 is larger than the 48 transitions of warmup_steps: give a smaller batch",
    ),
    (Probe(), SAC, {"warmup_steps": 0}, "batch_size 16 is larger than the 0 transitions of warmup"),
    (
        Probe(),
        DQN,
        {"buffer_size": 15},
        "buffer_size 15 holds less than a batch of 16 .*: give a larger buffer",
    ),
    (
        Probe(),
        changed(DQN, n_step=50, num_envs=8),
        {},
        "buffer_size 200 holds less .* n_step 50 and train_every 1 steps of 8 envs: give a larger",
    ),
    (
        Probe(),
        changed(DQN, replay_ratio=0.3, num_envs=2, train_every=2),
        {},
        r"replay_ratio 0.3 means 1.2 gradient steps for the 4 env steps of an update \(train_every "
        "2 x num_envs 2\\): choose numbers whose product is whole",
    ),
    (Probe(), changed(DQN, replay_ratio=0.25), {}, "replay_ratio 0.25 means 0.25 gradient steps"),
    (Probe(), changed(DQN, replay_ratio=-1.0), {}, "replay_ratio -1.0: give more than 0"),
    (
        Probe(),
        changed(DQN, replay_ratio=float("nan")),
        {},
        "replay_ratio nan: give a finite number",
    ),
    (
        Probe(),
        DQN,
        {"warmup_steps": 400},
        "warmup_steps 400 leave nothing of total_timesteps 400 to learn in: give a shorter warm-up",
    ),
    (Probe(), DQN, {"total_timesteps": 0}, "total_timesteps 0: give at least 1"),
    # where the replay is
    (
        Probe(),
        DQN,
        {"replay_on": "disk"},
        "unknown runner.replay_on 'disk': choose from",
    ),
    (
        Probe(),
        changed(DQN, prioritized=True),
        {"replay_on": "host"},
        "prioritized True needs replay_on device",
    ),
    # 10^9 slots and one more of 120000 + 4 + 4 + 1 bytes
    (
        Film(),
        DQN,
        {"buffer_size": 10**9},
        "buffer_size 1,000,000,000 takes 1,000,000,001 slots x 120009 B = 120 TB, and the device "
        "has .* free: give a smaller one, or replay_on host",
    ),
    (
        Film(),
        DQN,
        {"buffer_size": 10**9, "replay_on": "host"},
        "= 120 TB, and the host has .* free: give a smaller one.$",
    ),
    # others' settings
    (
        Probe(),
        PPOConfig(),
        {},
        "buffer_size 200 is only used by algorithms with a replay: leave it",
    ),
]
TRAIN = {
    DQNConfig: lambda env, params, config, runner, **more: train_dqn(
        env, params, dqn_config=config, runner_config=runner, **more
    ),
    SACConfig: lambda env, params, config, runner, **more: train_sac(
        env, params, sac_config=config, runner_config=runner, **more
    ),
    PPOConfig: lambda env, params, config, runner, **more: train_ppo(
        env, params, ppo_config=config, runner_config=runner, **more
    ),
}


def train(env, config, runner=RUNNER, **more):
    return TRAIN[type(config)](env, env.default_params(), config, runner, **more)


def compiled():
    programs = (loop.jit_start, loop.run_chunk, hybrid.learn_then_collect)
    return [program._cache_size() for program in programs]


@pytest.mark.parametrize(("env", "config", "changes", "sentence"), BAD)
def test_bad_settings_are_refused_in_a_sentence_before_anything_compiles(
    env, config, changes, sentence
):
    before = compiled()
    with pytest.raises(ConfigError, match=sentence) as refusal:
        train(AutoResetWrapper(env), config, replace(RUNNER, **changes))
    assert compiled() == before
    text = str(refusal.value)
    assert text.endswith((".", "?"))
    assert "\n" not in text


def test_an_env_that_does_not_reset_itself_is_refused():
    with pytest.raises(ConfigError, match="wrap it in AutoResetWrapper"):
        train(Probe(), DQN)


@pytest.mark.parametrize(
    ("env", "config", "shapes", "sentence"),
    [
        (Probe(), DQN, {"obs_shape": (3,)}, "obs_shape (3,) is not the environment's (1,)"),
        (Probe(), DQN, {"n_actions": 7}, "n_actions 7 is not the environment's 2"),
        (Continuous(), SAC, {"obs_shape": (3,)}, "obs_shape (3,) is not the environment's (1,)"),
        (Continuous(), SAC, {"action_dim": 7}, "action_dim 7 is not the environment's 1"),
        (Probe(), SAC, {"action_dim": 1}, "action_dim 1: the environment's space has none"),
    ],
)
def test_shapes_that_contradict_the_env_are_refused(env, config, shapes, sentence):
    with pytest.raises(ConfigError) as refusal:
        train(AutoResetWrapper(env), config, **shapes)
    assert str(refusal.value).startswith(sentence)
    assert str(refusal.value).endswith("leave it out.")


def test_params_for_another_number_of_envs_are_refused():
    env = AutoResetWrapper(Probe())
    params = Constants(reward=np.zeros(3, np.float32))
    with pytest.raises(ConfigError, match=r"env_params.reward has a leading axis of 3 for 4 envs"):
        train_dqn(env, params, dqn_config=replace(DQN, num_envs=4), runner_config=RUNNER)


@pytest.mark.parametrize("replay_on", ["device", "host"])
@pytest.mark.parametrize("name", ["loss", "buffer_fill"])
def test_a_metric_of_the_env_may_not_hide_one_of_the_algorithm(name, replay_on):
    runner = replace(RUNNER, replay_on=replay_on)
    with pytest.raises(ConfigError, match=f"'{name}'.* is taken: rename it"):
        train(AutoResetWrapper(NamedMetric(name=name)), DQN, runner)


@pytest.mark.parametrize(
    ("place", "replay_on"), [("free_on_device", "device"), ("free_on_host", "host")]
)
def test_a_buffer_is_measured_against_the_memory_of_its_own_place(place, replay_on, monkeypatch):
    # 201 slots of 4 + 4 + 4 + 1 bytes, the cursor's 4, the count's 4, the highest priority's 4
    runner = replace(RUNNER, replay_on=replay_on)
    free = {"free_on_device": 10**9, "free_on_host": 10**9, place: 2624}
    for name, n_bytes in free.items():
        monkeypatch.setattr(off_policy, name, lambda n=n_bytes: n)
    with pytest.raises(ConfigError, match=r"201 slots x 13 B = 2.62 kB, .* has 2.62 kB free"):
        train(AutoResetWrapper(Probe()), DQN, runner)


def test_a_buffer_may_be_as_large_as_the_memories_of_all_devices(monkeypatch):
    monkeypatch.setattr(off_policy, "free_on_device", lambda: 1000)  # and the ring takes 2625
    env = AutoResetWrapper(Probe())
    algorithm = dqn(env, env.default_params(), DQN, RUNNER)
    with pytest.raises(ConfigError, match="has 1 kB free"):
        algorithm.check_memory(n_devices=4)  # they are of one host
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    algorithm.check_memory(n_devices=4)
    with pytest.raises(ConfigError, match="has 1 kB free"):
        algorithm.check_memory(n_devices=2)


def test_a_ring_that_does_not_fit_leaves_no_file_behind(tmp_path):
    run_dir = RunDir("big", tmp_path)
    with pytest.raises(ConfigError, match=r"1,000,000,000,001 slots x 13 B = 13 TB"):
        train(AutoResetWrapper(Probe()), DQN, replace(RUNNER, buffer_size=10**12), run_dir=run_dir)
    assert not list(run_dir.logs.iterdir())


def test_a_discrete_box_is_no_reason_to_refuse():
    # numbers of every kind that work: a scheduled rate, one gradient step in four env steps
    env = AutoResetWrapper(Probe())
    config = replace(DQN, replay_ratio=0.25, num_envs=2, train_every=2, lr_end=0.0, n_step=5)
    algorithm = dqn(env, env.default_params(), config, RUNNER)
    algorithm.check(2)
    assert (algorithm.gradient_steps, algorithm.warmup_updates) == (1, 12)
    assert isinstance(algorithm.action_space, Discrete)
