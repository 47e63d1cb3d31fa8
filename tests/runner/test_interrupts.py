"""Ctrl-C and SIGTERM: calls that train end at once, with a checkpoint, and as exceptions."""

import os
import pickle
import shutil
import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest

from compiling import one_device
from probes import Continuous, Probe
from small_run import CONFIG as SMALL
from small_run import DRAWN
from vibe_rl.algorithms.dqn import DQNConfig
from vibe_rl.algorithms.ppo import PPOConfig
from vibe_rl.algorithms.sac import SACConfig
from vibe_rl.checkpoint import saved_steps
from vibe_rl.configs import TrainConfig
from vibe_rl.env import AutoResetWrapper, registry
from vibe_rl.errors import TrainingInterrupted
from vibe_rl.experiment import resume, train
from vibe_rl.experiment.seeds import resume_seeds
from vibe_rl.experiment.sweep import resume_sweep, sweep
from vibe_rl.metrics import read_metrics
from vibe_rl.plotting import groups
from vibe_rl.run_dir import RunDir
from vibe_rl.run_dir.group import members
from vibe_rl.runner import (
    DQNTrainResult,
    PPOMetricsHistory,
    PPOTrainState,
    RunnerConfig,
    SACTrainResult,
    train_dqn,
    train_ppo,
    train_ppo_multigpu,
    train_sac,
)
from vibe_rl.runner.run import Run
from vibe_rl.system.signals import StopRequest

ENDLESS = 10**9  # steps: such an episode ends only with eval_max_steps
RUNNER = RunnerConfig(
    total_timesteps=64,
    eval_every=32,
    eval_episodes=2,
    eval_max_steps=ENDLESS,
    log_interval=32,
    progress_bar=False,
    plot=False,
)
OFF = replace(RUNNER, warmup_steps=16, buffer_size=64)
PPO = PPOConfig(hidden_sizes=(8,), num_envs=2, n_steps=8, n_minibatches=2)
DQN = DQNConfig(hidden_sizes=(8,), num_envs=2, batch_size=8)
SAC = SACConfig(hidden_sizes=(8,), num_envs=2, batch_size=8)
KINDS = {
    "ppo": (train_ppo, Probe, PPO, RUNNER),
    "ppo on several devices": (train_ppo_multigpu, Probe, PPO, replace(RUNNER, num_devices=2)),
    "dqn": (train_dqn, Probe, DQN, OFF),
    "dqn, ring on the host": (train_dqn, Probe, DQN, replace(OFF, replay_on="host")),
    "sac": (train_sac, Continuous, SAC, OFF),
}


def trained(kind, env_length=ENDLESS, **how):
    function, env, config, runner = KINDS[kind]
    env = AutoResetWrapper(env(env_length))
    name = f"{type(config).__name__.removesuffix('Config').lower()}_config"
    how |= {name: config, "runner_config": replace(runner, **how.pop("changes", {}))}
    return function(env, env.default_params(), **how)


@contextmanager
def interrupted_in_an_evaluation(monkeypatch, number=signal.SIGINT):
    """Sends a signal a moment after the second piece of an evaluation has begun.

    Yields a list that holds, in the end, how long the rest of the block took.
    """
    evaluation, began, seconds = Run.evaluation, [], []

    def send():
        began.append(time.monotonic())
        os.kill(os.getpid(), number)

    def watched(run, agent_state, update):
        pieces = evaluation(run, agent_state, update)
        yield next(pieces)  # which compiles
        threading.Timer(0.1, send).start()
        yield from pieces

    monkeypatch.setattr(Run, "evaluation", watched)
    try:
        yield seconds
    finally:
        seconds.append(time.monotonic() - began[0])
        monkeypatch.setattr(Run, "evaluation", evaluation)


def check_ppo(result):
    state, history = result
    assert isinstance(state, PPOTrainState)
    assert isinstance(history, PPOMetricsHistory)


def check_off_policy(result):
    assert isinstance(result, DQNTrainResult | SACTrainResult)
    assert int(result.agent_state.step) > 0


@pytest.mark.parametrize("kind", KINDS)
def test_an_endless_evaluation_ends_at_once_with_a_checkpoint(kind, tmp_path, monkeypatch):
    run_dir = RunDir("run", tmp_path)
    with (
        interrupted_in_an_evaluation(monkeypatch) as seconds,
        pytest.raises(TrainingInterrupted) as interrupted,
    ):
        trained(kind, run_dir=run_dir)
    assert seconds[0] < 2.0
    assert saved_steps(run_dir.checkpoints) == [32]
    assert all("eval_return" not in row for row in read_metrics(run_dir))
    (check_ppo if kind.startswith("ppo") else check_off_policy)(interrupted.value.result)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_loop_over_seeds_does_not_go_on(number):
    begun = []

    def callback(step, agent_state, metrics):
        if begun[-1] == 1:
            os.kill(os.getpid(), number)

    def train_all():
        for seed in range(3):
            begun.append(seed)
            trained("ppo", 3, callback=callback, changes={"seed": seed})

    with pytest.raises(KeyboardInterrupt) as interrupted:
        train_all()
    assert begun == [0, 1]
    assert interrupted.value.signal == number


def test_a_signal_after_the_last_chunk_is_not_lost():
    def callback(step, agent_state, metrics):
        if step == 64:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(TrainingInterrupted) as interrupted:
        trained("ppo", 3, callback=callback)
    _, history = interrupted.value.result
    assert len(history.total_loss) == 4


def endless(length=ENDLESS):
    return Probe(length)


CONFIG = TrainConfig("Endless-v0", algo=PPO, runner=RUNNER)


@pytest.mark.parametrize("seeds", [None, (3, 5)])
def test_experiments_are_interrupted_alike_and_resume(seeds, tmp_path, monkeypatch):
    monkeypatch.setitem(registry._registry, "Endless-v0", endless)
    how = {} if seeds is None else {"seeds": seeds}
    with (
        one_device(),
        interrupted_in_an_evaluation(monkeypatch) as seconds,
        pytest.raises(TrainingInterrupted) as interrupted,
    ):
        train(CONFIG, tmp_path, **how)
    assert seconds[0] < 2.0
    run_dir, result = interrupted.value.result
    runs, results = ([run_dir], [result]) if seeds is None else (members(run_dir), result)
    assert all((r.step, r.interrupted, r.signal) == (32, True, signal.SIGINT) for r in results)
    for run in runs:
        seed = run.load_config()["runner"]["seed"]
        shorter = replace(CONFIG, runner=replace(RUNNER, eval_max_steps=4, seed=seed))
        _, rest = resume(run, shorter)
        assert (rest.step, rest.interrupted) == (64, False)
        assert [row["step"] for row in read_metrics(run) if "eval_return" in row] == [32, 64]


def test_the_exception_survives_a_process_pool():
    error = pickle.loads(pickle.dumps(TrainingInterrupted((1, 2), signal.SIGTERM)))
    assert (error.result, error.signal) == ((1, 2), signal.SIGTERM)
    assert str(error).startswith("SIGTERM ended the training: ")


def test_a_stop_that_is_no_signal_has_no_number():
    stop = StopRequest()
    stop.requested = True
    assert stop.signal == 0


@contextmanager
def cut_at(monkeypatch, count):
    """Interrupts the evaluation that is the `count`-th of the block."""
    evaluation, begun = Run.evaluation, []

    def cut(run, agent_state, update):
        begun.append(update)
        if len(begun) == count:
            os.kill(os.getpid(), signal.SIGINT)
            yield None
        yield from evaluation(run, agent_state, update)

    monkeypatch.setattr(Run, "evaluation", cut)
    with pytest.raises(TrainingInterrupted) as interrupted:
        yield interrupted
    monkeypatch.setattr(Run, "evaluation", evaluation)


def evaluated_at(run):
    return [row["step"] for row in read_metrics(run) if row.get("eval_return") is not None]


def test_a_group_resumes_where_one_member_has_its_evaluation_and_another_has_not(
    tmp_path, monkeypatch
):
    """As if it had been killed while the members' checkpoints were replaced."""
    config = replace(CONFIG, runner=replace(RUNNER, eval_max_steps=4))
    monkeypatch.setitem(registry._registry, "Endless-v0", endless)
    with one_device():
        with cut_at(monkeypatch, 1) as interrupted:
            train(config, tmp_path, seeds=(3, 5))
        group, _ = interrupted.value.result
        second = members(group)[1]
        before = shutil.copytree(second.root, tmp_path / "before", symlinks=True)
        with cut_at(monkeypatch, 2):  # the first is made up for
            resume_seeds(group.root)
        shutil.rmtree(second.root)
        shutil.copytree(before, second.root, symlinks=True)
        for run in members(group):  # from the step that both have
            shutil.rmtree(run.checkpoints / "step_64", ignore_errors=True)
        resume_seeds(group.root)
    assert [evaluated_at(run) for run in members(group)] == [[32, 64], [32, 64]]


def test_a_sweep_ranks_by_the_evaluation_that_was_cut(tmp_path, monkeypatch):
    config = replace(SMALL, runner=replace(SMALL.runner, eval_every=0))
    axes = {"algo.lr": [1e-3, 1e-2, 2e-3, 3e-3]}
    with one_device():
        with cut_at(monkeypatch, 2) as interrupted:  # at the second rung, when it has two settings
            sweep(config, axes, range(1), 2, tmp_path)
        group, standings = interrupted.value.result
        assert standings == []
        resume_sweep(group.root)
    assert sorted(map(evaluated_at, members(group))) == [
        [256],
        [256],
        [256, 512],
        [256, 512, 1024],
    ]


def interrupting(*args, **how):
    """As if Ctrl-C came in the middle of a call."""
    os.kill(os.getpid(), signal.SIGINT)


def test_a_signal_while_the_curve_is_drawn_is_not_lost(tmp_path, monkeypatch):
    monkeypatch.setattr(groups, "plot_reward_curve", interrupting)
    monkeypatch.setattr(RunDir, "best_checkpoint", None)
    with pytest.raises(TrainingInterrupted) as interrupted:
        trained("ppo", 3, run_dir=RunDir("run", tmp_path), changes={"plot": True})
    assert len(interrupted.value.result[1].total_loss) == 4


def test_nor_is_one_while_the_curve_of_a_group_is_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(groups, "plot_reward_curve", interrupting)
    with one_device(), pytest.raises(TrainingInterrupted) as interrupted:
        train(DRAWN, tmp_path, seeds=range(2))
    _, results = interrupted.value.result
    assert [result.step for result in results] == [1024, 1024]
