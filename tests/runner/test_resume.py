"""A run that was stopped and goes on is the run that never stopped, bit for bit."""

import gc
import os
import signal
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from probes import BlackOrWhite, Continuous, Forbidden, Guided, RandomEnds
from training import run_training
from vibe_rl.algorithms.bc import BC, BCConfig
from vibe_rl.algorithms.bc_sac import BCSAC, BCSACConfig
from vibe_rl.algorithms.dqn import DQNConfig
from vibe_rl.algorithms.ppo import PPOConfig
from vibe_rl.algorithms.sac import SACConfig
from vibe_rl.checkpoint import CheckpointManager, load_metadata, saved_steps
from vibe_rl.env import AutoResetWrapper
from vibe_rl.errors import CheckpointExistsError, ConfigError, DamagedCheckpointError
from vibe_rl.metrics import read_metrics, rewind
from vibe_rl.run_dir import RunDir
from vibe_rl.runner import RunnerConfig, loop, prepare
from vibe_rl.runner.evaluator import jit_continue_evaluation
from vibe_rl.runner.from_config import make_algorithm
from vibe_rl.runner.run import Run
from vibe_rl.runner.train_dqn import dqn
from vibe_rl.runner.train_ppo import ppo
from vibe_rl.runner.train_sac import sac

BUILDERS = {PPOConfig: ppo, DQNConfig: dqn, SACConfig: sac}
BUILDERS |= {BCConfig: partial(make_algorithm, BC), BCSACConfig: partial(make_algorithm, BCSAC)}
RUNNER = RunnerConfig(
    total_timesteps=480,
    eval_every=96,
    eval_episodes=2,
    log_interval=80,
    checkpoint_interval=120,
    checkpoint_share=1.0,
    progress_bar=False,
    plot=False,
)
SHORTER = {"total_timesteps": 240}
OFF = replace(RUNNER, warmup_steps=32, buffer_size=100)
PPO = PPOConfig(hidden_sizes=(8,), num_envs=2, n_steps=4, n_minibatches=2)
DQN = DQNConfig(hidden_sizes=(8,), batch_size=8, num_envs=2, replay_ratio=0.5)
SAC = SACConfig(hidden_sizes=(8,), batch_size=8, num_envs=2, replay_ratio=0.5)
CLONING = BCConfig(hidden_sizes=(8,), batch_size=8, num_envs=2, replay_ratio=0.5, expert_noise=0.1)
BOTH = BCSACConfig(
    hidden_sizes=(8,),
    batch_size=8,
    num_envs=4,
    replay_ratio=0.5,
    expert_one_in=2,
    imitation_every=3,
)
KINDS = {
    "ppo, normalised": (replace(PPO, normalize_obs=True), RandomEnds(), RUNNER),
    "ppo, masked": (PPO, Forbidden(), RUNNER),
    "dqn": (
        replace(DQN, normalize_obs=True, prioritized=True, n_step=3, schedule_steps=480.0),
        RandomEnds(),
        OFF,
    ),
    "dqn, ring on the host": (DQN, RandomEnds(), replace(OFF, replay_on="host")),
    "dqn of pictures": (replace(DQN, train_every=4), BlackOrWhite(), OFF),
    "sac": (SAC, Continuous(), OFF),
    "bc": (CLONING, Guided(), OFF),
    "bc_sac": (BOTH, Guided(length=3), OFF),
}


def prepared(kind, **changes):
    config, env, runner = KINDS[kind]
    env, runner = AutoResetWrapper(env), replace(runner, **changes)
    algorithm = BUILDERS[type(config)](env, env.default_params(), config, runner)
    return prepare(algorithm, env, env.default_params(), runner, config.num_envs)


def interrupt_at(wanted):
    def callback(step, agent_state, row):
        if step >= wanted:
            os.kill(os.getpid(), signal.SIGINT)

    return callback


def rows_of(run_dir):
    clocks = ("wall_time", "steps_per_second")
    rows = read_metrics(run_dir.log_path())
    return [{k: v for k, v in row.items() if k not in clocks} for row in rows]


def numbers(state):
    leaves = jax.tree.leaves(state)
    is_key = [jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) for leaf in leaves]
    return [
        np.asarray(jax.random.key_data(x) if k else x) for x, k in zip(leaves, is_key, strict=True)
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_was_interrupted_resumes_to_the_same_bits(kind, tmp_path):
    whole_dir, parts_dir = (RunDir(name, tmp_path) for name in ("whole", "parts"))
    whole = run_training(prepared(kind, **SHORTER), run_dir=whole_dir)
    assert not whole.interrupted
    cut = run_training(prepared(kind, **SHORTER), run_dir=parts_dir, callback=interrupt_at(110))
    assert cut.interrupted
    assert saved_steps(parts_dir.checkpoints)[-1] == cut.step
    assert OFF.buffer_size < cut.step < 240
    rest = run_training(prepared(kind, resume=True, **SHORTER), run_dir=parts_dir)
    assert (rest.step, rest.updates) == (whole.step, whole.updates)
    for a, b in zip(numbers(rest.state), numbers(whole.state), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    assert rows_of(parts_dir) == rows_of(whole_dir)


@pytest.mark.parametrize("kind", ["ppo, masked", "dqn, ring on the host"])
@pytest.mark.parametrize("step", [96, 240])  # in the middle, and all that is left
def test_an_evaluation_that_is_cut_short_is_made_on_resume(kind, step, tmp_path, monkeypatch):
    whole_dir, parts_dir = (RunDir(name, tmp_path) for name in ("whole", "parts"))
    whole = run_training(prepared(kind, **SHORTER), run_dir=whole_dir)
    interrupt_evaluation(monkeypatch, step)
    cut = run_training(prepared(kind, **SHORTER), run_dir=parts_dir)
    assert (cut.step, cut.interrupted, cut.signal) == (step, True, signal.SIGINT)
    assert step not in [row["step"] for row in rows_of(parts_dir)]
    interrupt_evaluation(monkeypatch, step)  # once more
    again = run_training(prepared(kind, resume=True, **SHORTER), run_dir=parts_dir)
    assert (again.step, again.interrupted) == (step, True)
    rest = run_training(prepared(kind, resume=True, **SHORTER), run_dir=parts_dir)
    assert (rest.step, rest.interrupted, rest.signal) == (240, False, 0)
    np.testing.assert_array_equal(rest.evaluation.episode_returns, whole.evaluation.episode_returns)
    assert rows_of(parts_dir) == rows_of(whole_dir)
    assert parts_dir.best_checkpoint.name == whole_dir.best_checkpoint.name


def interrupt_evaluation(monkeypatch, step):
    """Sends SIGINT in the first piece of the evaluation at this step, once."""
    evaluation = Run.evaluation

    def interrupted(run, agent_state, update):
        pieces = evaluation(run, agent_state, update)
        if update * run.steps_per_update != step:
            yield from pieces
            return
        monkeypatch.setattr(Run, "evaluation", evaluation)
        os.kill(os.getpid(), signal.SIGINT)
        yield None
        yield from pieces

    monkeypatch.setattr(Run, "evaluation", interrupted)


def test_what_a_lost_process_wrote_after_its_checkpoint_is_set_aside(tmp_path):
    run_dir, kind = RunDir("run", tmp_path), "dqn"
    run_training(prepared(kind), run_dir=run_dir, callback=interrupt_at(200))
    rows, step = rows_of(run_dir), saved_steps(run_dir.checkpoints)[-1]
    with run_dir.log_path().open("ab") as file:
        file.write(b'{"step": 470, "loss": 1.0}\n{"step": 480, "lo')
    run_training(prepared(kind, resume=True), run_dir=run_dir)
    resumed = rows_of(run_dir)
    assert resumed[: len(rows)] == rows
    steps = [row["step"] for row in resumed]
    assert steps == sorted(steps)
    assert run_dir.log_path("metrics_set_aside_1.jsonl").read_bytes().startswith(b'{"step": 470')
    assert rewind(run_dir.log_path(), 480) is None
    assert step < 480


def test_a_finished_run_is_finished_and_can_be_extended(tmp_path):
    run_dir, kind = RunDir("run", tmp_path), "dqn"
    first = run_training(prepared(kind), run_dir=run_dir)
    again = run_training(prepared(kind, resume=True), run_dir=run_dir)
    assert (again.step, again.interrupted) == (480, False)
    for a, b in zip(numbers(again.state), numbers(first.state), strict=True):
        np.testing.assert_array_equal(a, b)
    longer = run_training(prepared(kind, resume=True, total_timesteps=600), run_dir=run_dir)
    assert longer.step == 600 == saved_steps(run_dir.checkpoints)[-1]


@pytest.mark.parametrize("kind", ["ppo, masked", "dqn"])
def test_a_run_that_resumes_compiles_nothing_that_was_compiled_before(kind, tmp_path):
    run_dir = RunDir("run", tmp_path)
    run_training(prepared(kind), run_dir=run_dir)
    before = [program._cache_size() for program in (loop.run_chunk, jit_continue_evaluation)]
    run_training(prepared(kind, resume=True, total_timesteps=600), run_dir=run_dir)
    assert [
        program._cache_size() for program in (loop.run_chunk, jit_continue_evaluation)
    ] == before


@pytest.mark.parametrize("kind", ["ppo, normalised", "dqn"])
def test_a_run_extended_from_anywhere_has_the_later_rows_of_one_that_was_longer(kind, tmp_path):
    whole_dir, parts_dir = (RunDir(name, tmp_path) for name in ("whole", "parts"))
    whole = run_training(prepared(kind), run_dir=whole_dir)
    run_training(prepared(kind, total_timesteps=200), run_dir=parts_dir)  # 40 steps into a row
    rest = run_training(prepared(kind, resume=True), run_dir=parts_dir)
    for a, b in zip(numbers(rest.state), numbers(whole.state), strict=True):
        np.testing.assert_array_equal(a, b)
    expected, rows = rows_of(whole_dir), rows_of(parts_dir)
    (extra,) = [row for row in rows if row not in expected]
    assert extra["step"] == 200  # where the shorter run ended
    assert [row for row in rows if row is not extra] == expected


def test_how_often_a_run_saves_changes_no_bit(tmp_path):
    results = []
    for i, how in enumerate(({"checkpoint_interval": 16}, {"checkpoint_minutes": 0.0}, {})):
        run_dir = RunDir(f"run{i}", tmp_path)
        result = run_training(prepared("sac", **SHORTER, **how), run_dir=run_dir)
        results.append((numbers(result.state), rows_of(run_dir)))
    for state, rows in results[1:]:
        assert rows == results[0][1]
        for a, b in zip(state, results[0][0], strict=True):
            np.testing.assert_array_equal(a, b)


def test_what_cannot_be_written_is_warned_of_and_the_run_continues(tmp_path, monkeypatch):
    run_dir, run = RunDir("run", tmp_path), prepared("dqn")
    saves = []

    def full_disk_at_240(manager, step, *args, **kwargs):
        saves.append(step)
        if step == 240:
            raise OSError(28, "No space left on device")
        return save(manager, step, *args, **kwargs)

    save = CheckpointManager.save
    monkeypatch.setattr(CheckpointManager, "save", full_disk_at_240)
    with pytest.warns(RuntimeWarning, match=r"240 could .* No space left on device.* continues"):
        result = run_training(run, run_dir=run_dir)
    assert result.step == 480
    assert 240 in saves
    assert 240 not in saved_steps(run_dir.checkpoints)
    assert {120, 360, 480} <= set(saved_steps(run_dir.checkpoints))


def test_the_end_of_a_run_is_saved_at_the_second_try_if_not_at_the_first(tmp_path, monkeypatch):
    run_dir, tries = RunDir("run", tmp_path), []

    def fails_at_first(manager, step, *args, **kwargs):
        tries.append(step)
        if len(tries) == 1:
            raise OSError(5, "Input/output error")
        return save(manager, step, *args, **kwargs)

    save = CheckpointManager.save
    monkeypatch.setattr(CheckpointManager, "save", fails_at_first)
    how = {"checkpoint_interval": 0, "eval_every": 0}
    with pytest.warns(RuntimeWarning, match="step 480 could not be written"):
        run_training(prepared("dqn", **how), run_dir=run_dir)
    assert tries == [480, 480]
    assert saved_steps(run_dir.checkpoints) == [480]


def test_saving_by_steps_takes_no_more_than_its_share_of_the_time(tmp_path):
    run_dir = RunDir("run", tmp_path)
    how = {"checkpoint_interval": 8, "checkpoint_share": 1e-6, "eval_every": 0}
    run_training(prepared("ppo, masked", **how), run_dir=run_dir)
    assert saved_steps(run_dir.checkpoints) == [8, 480]  # the first costs nothing yet known


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Orbax's, of reads
def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_gives_the_same_bits(tmp_path):
    run_dir = RunDir("run", tmp_path)
    whole = run_training(prepared("dqn"), run_dir=run_dir)
    for file in (run_dir.checkpoints / "step_480").rglob("d/*"):
        file.write_bytes(file.read_bytes()[:-9])
    with pytest.warns(RuntimeWarning, match="step_480 .*kept as damaged_step_480"):
        rest = run_training(prepared("dqn", resume=True), run_dir=run_dir)
    for a, b in zip(numbers(rest.state), numbers(whole.state), strict=True):
        np.testing.assert_array_equal(a, b)
    gc.collect()  # the coroutines that Orbax left behind
    assert (run_dir.checkpoints / "damaged_step_480").is_dir()
    assert saved_steps(run_dir.checkpoints)[-1] == 480


def test_a_run_whose_checkpoints_are_all_damaged_is_not_begun_anew(tmp_path):
    run_dir = RunDir("run", tmp_path)
    run_training(prepared("ppo, masked", eval_every=0), run_dir=run_dir)
    steps = saved_steps(run_dir.checkpoints)
    for file in run_dir.checkpoints.glob("step_*/metadata/metadata"):
        file.write_text('{"torn')
    with pytest.raises(DamagedCheckpointError, match=r"step_480 .* take an earlier one"):
        run_training(prepared("ppo, masked", resume=True), run_dir=run_dir)
    assert saved_steps(run_dir.checkpoints) == steps
    assert rows_of(run_dir)[-1]["step"] == 480


def test_the_settings_that_changed_are_named(tmp_path):
    how = {"checkpoint_dir": str(tmp_path / "mine")}
    run_training(prepared("ppo, masked", **how))
    run = prepared("ppo, masked", resume=True, **how)
    algorithm = replace(run.algorithm, config=replace(run.algorithm.config, hidden_sizes=(4,)))
    with pytest.raises(ConfigError, match=r"hidden_sizes \(\[8\] saved, \[4\] expected\): resume"):
        run_training(replace(run, algorithm=algorithm))


def test_updates_of_another_length_are_refused(tmp_path):
    how = {"checkpoint_dir": str(tmp_path / "mine")}
    run_training(prepared("ppo, masked", **how))
    run = prepared("ppo, masked", resume=True, **how)
    algorithm = replace(run.algorithm, config=replace(run.algorithm.config, n_steps=8))
    with pytest.raises(ConfigError, match="has updates of 8 env steps and the run of 16"):
        run_training(replace(run, algorithm=algorithm))


def test_the_best_checkpoint_is_of_the_best_evaluation_and_stays(tmp_path):
    run_dir = RunDir("run", tmp_path)
    run_training(prepared("ppo, masked", max_checkpoints=1), run_dir=run_dir)
    rows = [row for row in rows_of(run_dir) if "eval_return" in row]
    best = max(rows, key=lambda row: row["eval_return"])
    assert run_dir.best_checkpoint.name == f"step_{best['step']}"
    assert set(saved_steps(run_dir.checkpoints)) == {best["step"], 480}


def test_a_directory_with_checkpoints_is_neither_mixed_nor_overwritten_unasked(tmp_path):
    how = {"checkpoint_dir": str(tmp_path / "mine")}
    run_training(prepared("dqn", **how))
    steps = saved_steps(tmp_path / "mine")
    with pytest.raises(CheckpointExistsError, match=r"resume=True to resume .* overwrite=True"):
        run_training(prepared("dqn", **how))
    with pytest.raises(ConfigError, match="is of DQN and the run of SAC: give the same algorithm"):
        run_training(prepared("sac", resume=True, **how))
    assert saved_steps(tmp_path / "mine") == steps
    run_training(prepared("sac", resume=True, overwrite=True, **how))  # overwrite wins
    assert load_metadata(tmp_path / "mine")["algorithm"] == "SAC"


def test_without_its_replay_a_checkpoint_is_small_and_the_run_resumes_with_an_empty_one(tmp_path):
    run_dir, how = RunDir("run", tmp_path), {"checkpoint_replay": False}
    run_training(prepared("dqn", **how), run_dir=run_dir, callback=interrupt_at(200))
    rest = run_training(prepared("dqn", resume=True, **how), run_dir=run_dir)
    assert rest.step == 480
    assert 0 < int(rest.state.agent_state.memory.ring.filled) <= 51
