"""Ctrl-C and SIGTERM: calls that train end at once, with a checkpoint, and as exceptions."""

import os
import pickle
import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest

from compiling import one_device
from probes import Continuous, Probe
from vibe_rl.algorithms.dqn import DQNConfig
from vibe_rl.algorithms.ppo import PPOConfig
from vibe_rl.algorithms.sac import SACConfig
from vibe_rl.checkpoint import saved_steps
from vibe_rl.configs import TrainConfig
from vibe_rl.env import AutoResetWrapper, registry
from vibe_rl.errors import TrainingInterrupted
from vibe_rl.experiment import resume, train
from vibe_rl.metrics import read_metrics
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
