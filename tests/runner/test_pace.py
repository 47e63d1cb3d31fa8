"""How long a chunk is, and what speed is told: neither is that of another stage."""

import time
from dataclasses import replace

import pytest

from probes import RandomEnds
from vibe_rl.algorithms.dqn import DQNConfig
from vibe_rl.env import AutoResetWrapper
from vibe_rl.runner import RunnerConfig
from vibe_rl.runner.fit import Host, drive_chunks, row_writer
from vibe_rl.runner.rows import CHUNK_SECONDS
from vibe_rl.runner.run import Run, prepare
from vibe_rl.runner.train_dqn import dqn
from vibe_rl.tracking import Tee

CONFIG = DQNConfig(hidden_sizes=(8,), num_envs=4, replay_ratio=0.25, batch_size=16)
RUNNER = RunnerConfig(
    total_timesteps=4000,
    warmup_steps=2000,
    buffer_size=1024,
    eval_every=1000,
    eval_episodes=1,
    log_interval=200,
    progress_bar=False,
)


class Tape(Tee):
    """A tracker that keeps what is no episode's."""

    def __init__(self):
        super().__init__()
        self.rows = []

    def log(self, metrics, step):
        if "episode_return" not in metrics:
            self.rows.append(dict(metrics))


class Watched(Host):
    """Keeps the length of every chunk, and how fast the run was thought to be before it."""

    def chunks(self, run, state, update):
        self.lengths = []
        for current, chunk in super().chunks(run, state, update):
            self.lengths.append((update, chunk.n_updates, chunk.first))
            update += chunk.n_updates
            yield current, chunk


def prepared(runner):
    env = AutoResetWrapper(RandomEnds())
    params = env.default_params()
    return prepare(dqn(env, params, CONFIG, runner), env, params, runner, CONFIG.num_envs)


def watched(runner, tracker=None):
    run = prepared(runner)
    host = Watched(run, row_writer(run, tracker))
    drive_chunks(run, host)
    return host


@pytest.mark.parametrize("replay_on", ["device", "host"])
def test_a_stage_begins_with_a_single_update(replay_on):
    host = watched(replace(RUNNER, replay_on=replay_on))
    firsts = [(update, length) for update, length, first in host.lengths if first]
    assert firsts == [(0, 1), (500, 1)]
    assert max(length for *_, length, _ in host.lengths) > 1


def test_a_chunk_takes_about_as_long_as_it_should():
    run = prepared(RUNNER)
    rows = row_writer(run, None)
    assert rows.updates_at_once() == 1  # while nothing is known
    rows.speedometer.restart(0, time.perf_counter() - 0.1)
    rows.speedometer(4000)  # 40,000 env steps per second, 4 of them an update
    assert rows.updates_at_once() == pytest.approx(CHUNK_SECONDS * 10_000, rel=0.05)


def test_no_speed_counts_an_evaluation(monkeypatch):
    evaluation = Run.evaluation

    def slowly(run, agent_state, update):
        time.sleep(1.0)
        return evaluation(run, agent_state, update)

    monkeypatch.setattr(Run, "evaluation", slowly)
    tape = Tape()
    watched(RUNNER, tape)  # counted, 1,000 env steps between two evaluations were 1,000 a second
    speeds = [row["steps_per_second"] for row in tape.rows if row.get("step", 0) > 2200]
    assert len(speeds) > 5
    assert min(speeds) > 1500
