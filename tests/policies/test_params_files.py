"""Files of parameters beside checkpoints, and the agents that are made of them."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from probes import Continuous, Forbidden, RandomEnds
from training import run_training
from vibe_rl.algorithms.dqn import DQNConfig
from vibe_rl.algorithms.ppo import PPOConfig
from vibe_rl.algorithms.sac import SACConfig
from vibe_rl.env import AutoResetWrapper, Box
from vibe_rl.errors import ConfigError
from vibe_rl.policies import load, load_params
from vibe_rl.run_dir import RunDir
from vibe_rl.runner import RunnerConfig, prepare
from vibe_rl.runner.params_files import write_arrays
from vibe_rl.runner.train_dqn import dqn
from vibe_rl.runner.train_ppo import ppo
from vibe_rl.runner.train_sac import sac

RUNNER = RunnerConfig(
    total_timesteps=64,
    eval_episodes=0,
    checkpoint_interval=32,
    checkpoint_share=1.0,
    save_params=True,
    progress_bar=False,
    plot=False,
)
OFF = replace(RUNNER, warmup_steps=16, buffer_size=32)
KINDS = {
    "ppo": (
        ppo,
        PPOConfig(hidden_sizes=(6, 5), num_envs=2, n_steps=8, n_minibatches=2, normalize_obs=True),
        Forbidden(),
        RUNNER,
    ),
    "dqn": (dqn, DQNConfig(hidden_sizes=(6, 5), batch_size=8, num_envs=2), RandomEnds(), OFF),
    "sac": (sac, SACConfig(hidden_sizes=(6, 5), batch_size=8, num_envs=2), Continuous(), OFF),
}


def prepared(kind):
    build, config, env, runner = KINDS[kind]
    wrapped, params = AutoResetWrapper(env), env.default_params()
    algorithm = build(wrapped, params, config, runner)
    return prepare(algorithm, wrapped, params, runner, config.num_envs)


@pytest.fixture(scope="module", params=KINDS)
def trained(request, tmp_path_factory):
    """The algorithm, its final state, the run directory and observations."""
    run_dir = RunDir(request.param, tmp_path_factory.mktemp("params"))
    run = prepared(request.param)
    result = run_training(run, run_dir=run_dir)
    keys = jax.random.split(jax.random.key(1), 20)
    observed = jax.vmap(run.algorithm.obs_space.sample)(keys)
    return run.algorithm, result.state.agent_state, run_dir, observed


@pytest.fixture(scope="module")
def of_ppo(tmp_path_factory):
    run_dir = RunDir("ppo", tmp_path_factory.mktemp("of_ppo"))
    run_training(prepared("ppo"), run_dir=run_dir)
    return run_dir.root / "params_4.npz"


def last_file(run_dir):
    return max(run_dir.root.glob("params_*.npz"), key=lambda path: int(path.stem[7:]))


def test_an_agent_of_a_file_acts_as_the_one_that_was_saved(trained):
    algorithm, state, run_dir, observed = trained
    loaded = load_params(last_file(run_dir))
    assert loaded.algorithm.config.hidden_sizes == (6, 5)
    assert loaded.metadata["step"] == 64
    for obs in (jax.tree.map(lambda x, i=i: x[i], observed) for i in range(20)):
        np.testing.assert_array_equal(
            loaded.algorithm.greedy(loaded.agent_state, obs), algorithm.greedy(state, obs)
        )


def test_a_policy_is_made_of_a_file(trained):
    algorithm, state, run_dir, observed = trained
    policy = load(last_file(run_dir), obs_space=algorithm.obs_space)
    wanted = jax.vmap(algorithm.greedy, in_axes=(None, 0))(state, observed)
    np.testing.assert_allclose(policy(jax.device_get(observed)), wanted, rtol=1e-5, atol=1e-6)


def test_there_is_one_for_every_checkpoint_which_counts_updates(of_ppo):
    assert {path.name for path in of_ppo.parent.glob("*.npz")} == {"params_2.npz", "params_4.npz"}
    with np.load(of_ppo, allow_pickle=False) as file:
        names = set(file.files)
    assert "params.actor.mlp.layers.0.weight" in names
    assert not [name for name in names if "opt_state" in name]


def test_other_layers_than_the_files_are_refused_with_both_shapes(of_ppo):
    assert load_params(of_ppo, num_layers=2).algorithm.config.hidden_sizes == (6, 5)
    for how in ({"hidden_dim": 7}, {"num_layers": 1}, {"num_layers": 3}):
        with pytest.raises(ConfigError, match=r"has .* at .*, where these layers need .*: leave"):
            load_params(of_ppo, **how)


def test_shapes_go_before_what_the_metadata_say(of_ppo, tmp_path):
    with np.load(of_ppo) as file:
        arrays = dict(file)
    text = str(arrays["metadata"]).replace('"hidden_sizes": [6, 5]', '"hidden_sizes": [64, 64]')
    path = tmp_path / "params_4.npz"
    write_arrays(path, arrays | {"metadata": np.array(text)})
    assert load_params(path).algorithm.config.hidden_sizes == (6, 5)


def test_an_agent_is_not_given_another_observation(of_ppo):
    with pytest.raises(ConfigError, match=r"observes Masked.*, and this environment shows Box"):
        load_params(of_ppo, obs_space=Box(-1.0, 1.0, (1,)))


@pytest.mark.parametrize("content", [b"", b"\x80\x04}.", b"PK\x03\x04torn"])
def test_what_is_no_such_file_is_refused_in_one_sentence(content, tmp_path):
    path = tmp_path / "params_1.npz"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"holds no parameters of an agent .*: name a params_N"):
        load_params(path)
    np.savez(path, weights=np.zeros(2))
    with pytest.raises(ConfigError, match="holds no parameters of an agent"):
        load_params(path)


def test_a_file_that_cannot_be_written_is_warned_of_and_the_run_continues(tmp_path, monkeypatch):
    def refuse(path, arrays):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vibe_rl.runner.params_files.write_arrays", refuse)
    run_dir = RunDir("full", tmp_path)
    with pytest.warns(RuntimeWarning, match=r"params_\d.npz could not be written .* continues"):
        assert run_training(prepared("ppo"), run_dir=run_dir).step == 64
    assert len(run_dir.list_checkpoints()) == 2
