"""What a run passes to trackers and callbacks, and how a callback ends it."""

import os
import signal
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from vibe_rl import experiment
from vibe_rl.algorithms.dqn import DQNConfig
from vibe_rl.algorithms.ppo import PPOConfig
from vibe_rl.checkpoint import saved_steps
from vibe_rl.configs import TrainConfig, to_dict
from vibe_rl.env import AutoResetWrapper, make
from vibe_rl.errors import ConfigError, TrainingInterrupted
from vibe_rl.metrics import read_metrics
from vibe_rl.run_dir import RunDir
from vibe_rl.runner import RunnerConfig, train_dqn, train_ppo
from vibe_rl.runner.fit import is_false
from vibe_rl.tracking.base import Tracker

ENV, PARAMS = make("CartPole-v1")
ENV = AutoResetWrapper(ENV)
CONFIG = PPOConfig(hidden_sizes=(4,), num_envs=2, n_steps=32, n_minibatches=2)
RUNNER = RunnerConfig(
    total_timesteps=256,
    eval_every=128,
    eval_episodes=2,
    eval_max_steps=8,
    log_interval=64,
    progress_bar=False,
    plot=False,
)


class Recorder:
    """A tracker that remembers everything."""

    def __init__(self):
        self.rows, self.configs, self.files, self.closed = [], [], [], False

    def log(self, metrics, step):
        self.rows.append((step, dict(metrics)))

    def log_config(self, config):
        self.configs.append(dict(config))

    def log_file(self, path):
        self.files.append(str(path))

    def close(self):
        self.closed = True


def train(tmp_path=None, **how):
    how = {"ppo_config": CONFIG, "runner_config": RUNNER} | how
    run_dir = None if tmp_path is None else RunDir(base_dir=tmp_path)
    return run_dir, *train_ppo(ENV, PARAMS, run_dir=run_dir, **how)


def test_a_callback_that_returns_false_ends_the_run_which_returns_normally(tmp_path):
    steps = []

    def callback(step, agent_state, metrics):
        steps.append(step)
        return step < 128

    run_dir, _, history = train(tmp_path, callback=callback)
    assert steps == [64, 128]
    assert len(history.total_loss) == 2
    assert saved_steps(run_dir.checkpoints)[-1] == 128
    _, _, whole = train(callback=lambda *_: None)  # nothing is not False
    assert len(whole.total_loss) == 4


@pytest.mark.parametrize("false", [False, np.False_, np.array(False), jnp.array(False)])
def test_false_of_any_library_ends_the_run(false):
    _, _, history = train(callback=lambda *_: false)
    assert len(history.total_loss) == 1


@pytest.mark.parametrize(
    "other", [None, True, np.True_, 0, 0.0, jnp.array(0.0), "", [], [[1], [1, 2]]]
)
def test_anything_else_does_not(other):
    assert not is_false(other)


def test_to_resume_there_has_to_be_a_directory():
    with pytest.raises(ConfigError, match="resume True needs checkpoints: give a run_dir or a"):
        train(runner_config=replace(RUNNER, resume=True))


def test_trackers_that_are_passed_in_get_the_description_rows_and_files(tmp_path):
    recorder = Recorder()
    run_dir, _, _ = train(tmp_path, trackers=[recorder], runner_config=replace(RUNNER, plot=True))
    (description,) = recorder.configs
    assert description["algorithm"] == "ppo"
    assert (description["env_id"], description["env_kwargs"]) == ("CartPole", {})
    assert description["algo"]["hidden_sizes"] == [4]
    assert description["runner"]["total_timesteps"] == 256
    assert [step for step, _ in recorder.rows] == [64, 128, 192, 256]
    names = [path.removeprefix(f"{run_dir}/") for path in recorder.files]
    assert names[0] == "artifacts/reward_curve.png"
    assert names[1].startswith("checkpoints/step_")
    assert recorder.closed


def test_a_reward_curve_that_cannot_be_written_is_a_warning(tmp_path):
    run_dir = RunDir(base_dir=tmp_path)
    run_dir.artifact_path("reward_curve.png").mkdir()
    how = {"ppo_config": CONFIG, "runner_config": replace(RUNNER, plot=True), "run_dir": run_dir}
    with pytest.warns(RuntimeWarning, match=r"reward_curve\.png cannot be written"):
        train_ppo(ENV, PARAMS, **how)
    assert saved_steps(run_dir.checkpoints)[-1] == 256


@pytest.mark.parametrize("checkpoints", [None, "kept"])
def test_a_run_that_changes_the_directory_writes_where_it_began(checkpoints, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    runner = replace(RUNNER, plot=True, checkpoint_dir=checkpoints)
    run_dir, _, _ = train(
        "runs", runner_config=runner, callback=lambda *_: monkeypatch.chdir(tmp_path / "elsewhere")
    )
    assert not list((tmp_path / "elsewhere").iterdir())
    assert run_dir.artifact_path("reward_curve.png").exists()
    assert len(read_metrics(run_dir)) == 4
    kept = tmp_path / checkpoints if checkpoints else run_dir.checkpoints
    assert saved_steps(kept)[-1] == 256
    assert (run_dir.best_checkpoint is None) == (checkpoints is not None)
    assert not list(tmp_path.rglob("*.lock"))


def test_a_directory_made_for_a_run_that_is_refused_goes_again(tmp_path):
    kept = tmp_path / "new" / "kept"
    other = replace(RUNNER, checkpoint_dir=str(kept), resume=True, total_timesteps=64)
    train(runner_config=replace(other, total_timesteps=128))
    assert saved_steps(kept) == [128]
    with pytest.raises(ConfigError, match="total_timesteps 64 is less than"):
        train(runner_config=other)
    assert saved_steps(kept) == [128]
    fails = replace(other, checkpoint_dir=str(tmp_path / "other" / "kept"))
    with pytest.raises(ZeroDivisionError):
        train(runner_config=fails, callback=lambda *_: 1 // 0)
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_an_experiment_and_train_ppo_describe_a_run_by_the_same_names(tmp_path):
    recorder, config = Recorder(), TrainConfig(env_id="CartPole-v1", algo=CONFIG, runner=RUNNER)
    train(trackers=[recorder])
    notes = experiment.load_run(experiment.train(config, tmp_path)[0].root)[2]
    about = {"versions", "commit"}
    assert notes["settings"].keys() == recorder.configs[0].keys() - about
    assert about < recorder.configs[0].keys()
    assert notes["settings"]["env_id"] == to_dict(config)["env_id"] == "CartPole-v1"


@pytest.mark.parametrize("log_episodes", [None, True])
def test_single_episodes_are_rows_where_the_run_says_so(log_episodes, tmp_path):
    runner = replace(RUNNER, log_episodes=log_episodes)
    run_dir, _, _ = train(tmp_path, runner_config=runner)
    rows = read_metrics(run_dir.root)
    means = [row for row in rows if "update" in row]
    singles = [row for row in rows if "episode_return" in row]
    assert all("episode_return_mean" in row for row in means if row["episodes"])
    assert len(singles) == (sum(row["episodes"] for row in means) if log_episodes else 0)
    assert all(set(row) >= {"step", "episode_return", "episode_length"} for row in singles)


def test_a_resumed_ppo_returns_the_history_of_the_whole_run(tmp_path):
    whole = train()[2]
    how = {"ppo_config": CONFIG, "run_dir": RunDir("parts", tmp_path)}
    train_ppo(ENV, PARAMS, runner_config=replace(RUNNER, total_timesteps=192), **how)
    resumed = replace(RUNNER, resume=True)
    for _ in range(2):  # the second finds nothing left to do
        _, history = train_ppo(ENV, PARAMS, runner_config=resumed, **how)
        for column, expected in zip(history, whole, strict=True):
            np.testing.assert_allclose(column, expected, rtol=1e-6)  # a row is one update here


def test_earlier_updates_have_the_mean_of_their_row_or_are_nan(tmp_path):
    runner = replace(RUNNER, log_interval=128, total_timesteps=192)
    how = {"ppo_config": CONFIG, "run_dir": RunDir("parts", tmp_path)}
    _, first = train_ppo(ENV, PARAMS, runner_config=runner, **how)
    longer = replace(runner, total_timesteps=256, resume=True)
    _, history = train_ppo(ENV, PARAMS, runner_config=longer, **how)
    mean = first.total_loss[:2].mean()
    np.testing.assert_allclose(history.total_loss[:2], [mean, mean], rtol=1e-6)
    assert np.isfinite(history.total_loss).all()
    assert len(history.total_loss) == 4
    checkpoints = {"checkpoint_dir": str(how.pop("run_dir").checkpoints)}
    _, history = train_ppo(ENV, PARAMS, runner_config=replace(longer, **checkpoints), **how)
    assert np.isnan(history.total_loss).all()


def test_earlier_updates_are_unknown_where_another_log_has_them(tmp_path):
    """A run whose checkpoints are elsewhere resumes with a log of its own."""
    runner = replace(RUNNER, checkpoint_dir=str(tmp_path / "saved"), total_timesteps=128)
    train_ppo(ENV, PARAMS, ppo_config=CONFIG, runner_config=runner, run_dir=RunDir("a", tmp_path))
    how = {"ppo_config": CONFIG, "run_dir": RunDir("b", tmp_path)}
    for n_updates in (3, 4):
        resumed = replace(runner, resume=True, total_timesteps=64 * n_updates)
        _, history = train_ppo(ENV, PARAMS, runner_config=resumed, **how)
        assert np.isnan(history.total_loss).tolist() == [True] * 2 + [False] * (n_updates - 2)


def test_updates_of_a_row_that_was_cut_keep_their_own_values(tmp_path):
    runner = replace(RUNNER, log_interval=256)
    whole, how = train(runner_config=runner)[2], {"ppo_config": CONFIG}
    how["run_dir"] = RunDir("parts", tmp_path)
    with pytest.raises(TrainingInterrupted):
        train_ppo(ENV, PARAMS, runner_config=runner, trackers=[Interrupter()], **how)
    _, history = train_ppo(ENV, PARAMS, runner_config=replace(runner, resume=True), **how)
    np.testing.assert_array_equal(history.total_loss, whole.total_loss)


class Interrupter(Tracker):
    """Sends SIGINT before the first update."""

    def log_config(self, config):
        os.kill(os.getpid(), signal.SIGINT)


def test_a_resumed_dqn_returns_what_the_whole_run_logged(tmp_path):
    config = DQNConfig(hidden_sizes=(4,), batch_size=8, num_envs=2, train_every=4)
    runner = replace(RUNNER, warmup_steps=64, buffer_size=128)
    how = {"dqn_config": config, "run_dir": RunDir("parts", tmp_path)}
    whole = train_dqn(ENV, PARAMS, dqn_config=config, runner_config=runner)
    train_dqn(ENV, PARAMS, runner_config=replace(runner, total_timesteps=128), **how)
    result = train_dqn(ENV, PARAMS, runner_config=replace(runner, resume=True), **how)
    assert result.episode_returns == whole.episode_returns
    assert [row["step"] for row in result.metrics_log] == [128, 192, 256]
    assert [row["loss"] for row in result.metrics_log] == [row["loss"] for row in whole.metrics_log]
