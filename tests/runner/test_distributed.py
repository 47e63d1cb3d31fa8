"""One run in two real processes of two devices each: train, save, go on elsewhere, lose one."""

import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from processes import environ
from vibe_rl.checkpoint import saved_steps
from vibe_rl.cli import main
from vibe_rl.experiment import load_run
from vibe_rl.metrics import read_metrics
from vibe_rl.run_dir import find_runs
from vibe_rl.system.processes import FAILED

WORKER = Path(__file__).parents[1] / "distributed_worker.py"
SHORT = "--algo.num_envs 8 --algo.hidden_sizes (8,) --algo.schedule_steps 512 "
SHORT += "--runner.log_interval 0 "
SHORT += "--runner.checkpoint_share 1 --runner.plot false --runner.progress_bar false "
OFF_POLICY = "--runner.warmup_steps 32 --runner.buffer_size 512 --algo.batch_size 16 "
OFF_POLICY += "--runner.eval_every 80 --runner.eval_episodes 2 --runner.checkpoint_interval 40 "
PRESETS = {
    "cartpole_ppo": "--algo.n_steps 16 --runner.eval_every 256 --runner.eval_episodes 2 "
    "--runner.checkpoint_interval 128 ",
    "cartpole_dqn": OFF_POLICY,
    "pendulum_sac": OFF_POLICY,
}
TOTALS = {"cartpole_ppo": (512, 640, 768), "cartpole_dqn": (80, 96, 112)}
TOTALS["pendulum_sac"] = TOTALS["cartpole_dqn"]


def free_port():
    """A port at which nothing listens."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def start(words, n_devices, folder):
    """A process of its own, which pretends so many devices."""
    command = [sys.executable, "-m", "vibe_rl", "train", *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, env=environ(n_devices), cwd=folder, **pipes)


def start_two(words, folder, timeout=60):
    """The same command in two processes that train together."""
    more = ["--distributed", "--coordinator", f"127.0.0.1:{free_port()}", "--num_processes", "2"]
    more += ["--timeout", str(timeout), "--process_id"]
    return [start([*words, *more, str(i)], 2, folder) for i in range(2)]


def finish(processes, within=240):
    """Exit statuses and outputs."""
    outputs = [process.communicate(timeout=within)[0] for process in processes]
    return [process.returncode for process in processes], outputs


def in_two(words, folder):
    """Runs the command in two processes; what the first said."""
    statuses, outputs = finish(start_two(words, folder))
    assert statuses == [0, 0], outputs
    assert "Training" not in outputs[1]
    return outputs[0]


def in_one(words, folder, n_devices=4):
    """Runs the command in one process; what it said."""
    statuses, outputs = finish([start(words, n_devices, folder)])
    assert statuses == [0], outputs
    return outputs[0]


@pytest.mark.slow
@pytest.mark.parametrize("preset", PRESETS)
def test_two_processes_train_as_one_and_resume_as_one_and_back(preset, tmp_path):
    words = [*SHORT.split(), *PRESETS[preset].split()]
    first, second, third = (["--runner.total_timesteps", str(n)] for n in TOTALS[preset])
    two, one = tmp_path / "two", tmp_path / "one"
    two.mkdir()
    said = in_two([preset, *words, *first], two)
    run = find_runs(two / "runs")[0]
    assert f"Training complete | {TOTALS[preset][0]:,} env steps" in said
    one.mkdir()
    in_one(["--resume", str(run), "--runner.num_devices", "4", *second], two)
    in_two(["--resume", str(run), *third], two)
    in_one([preset, *words, *third, "--runner.num_devices", "4"], one)
    alone = find_runs(one / "runs")[0]
    assert saved_steps(run.checkpoints)[-1] == TOTALS[preset][2]
    assert_alike(run, alone)


def assert_alike(run, other):
    """Both hold the same agent and told the same of their training, to rounding."""
    agents = [jax.tree.leaves(load_run(each)[1]) for each in (run, other)]
    for left, right in zip(*agents, strict=True):
        np.testing.assert_allclose(data(left), data(right), rtol=1e-4, atol=1e-5)
    rows = [[row for row in read_metrics(each) if "update" in row] for each in (run, other)]
    assert [row["step"] for row in rows[0]] == sorted({row["step"] for row in rows[1]})
    for name in ("eval_return", "episodes", "gradient_norm"):
        both = [
            (row[name], same[name])
            for row, same in zip(*rows, strict=True)
            if name in row and name in same
        ]
        assert both or name == "gradient_norm"
        assert [left for left, _ in both] == pytest.approx([right for _, right in both], rel=1e-3)


def data(leaf):
    """Keys as numbers."""
    is_key = jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return jax.random.key_data(leaf) if is_key else leaf


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_process_ends_the_other_soon_and_the_run_resumes(victim, tmp_path):
    endless = "--runner.total_timesteps 100000000 --algo.n_steps 16 --runner.eval_episodes 0 "
    endless += "--runner.checkpoint_interval 512"
    words = ["cartpole_ppo", *SHORT.split(), *endless.split()]
    processes = start_two(words, tmp_path, timeout=10)
    wait_for_checkpoint(tmp_path, processes)
    time.sleep(random.random())
    processes[victim].send_signal(signal.SIGKILL)
    began = time.monotonic()
    statuses, outputs = finish(processes, within=60)
    assert time.monotonic() - began < 30
    assert statuses[victim] == -signal.SIGKILL
    survivor = 1 - victim
    assert statuses[survivor] not in (0, None)
    lost = ("or lost another", "another task died", "leader task was preempted")
    assert any(words in outputs[survivor] for words in lost), outputs[survivor]
    run = find_runs(tmp_path / "runs")[0]
    last = saved_steps(run.checkpoints)[-1]
    more = ["--runner.total_timesteps", str(last + 1280)]
    said = in_two(["--resume", str(run), *more], tmp_path)
    assert f"Training complete | {last + 1280:,} env steps" in said


def wait_for_checkpoint(folder, processes):
    """Returns when the run has saved something; asserts that its processes still run."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        runs = find_runs(folder / "runs") if (folder / "runs").is_dir() else []
        if runs and saved_steps(runs[0].checkpoints):
            return
        assert all(process.poll() is None for process in processes), finish(processes)
        time.sleep(0.1)
    raise AssertionError("nothing was saved within 120 s")


def start_pair(case, folder):
    """Two processes of `distributed_worker.py`."""
    how = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "env": environ()}
    words = [sys.executable, str(WORKER), case, str(free_port())]
    return [subprocess.Popen([*words, str(i)], cwd=folder, **how) for i in range(2)]


@pytest.mark.slow
def test_what_fails_in_one_process_ends_both(tmp_path):
    statuses, outputs = finish(start_pair("failing_callback", tmp_path), within=120)
    assert statuses[1] == FAILED
    assert "OSError: the disk of process 1 is full" in outputs[1]
    assert "resume from the last checkpoint" in outputs[1]
    assert statuses[0] not in (0, None)


@pytest.mark.slow
def test_a_checkpoint_that_one_process_cannot_write_ends_both(tmp_path):
    statuses, outputs = finish(start_pair("failing_write", tmp_path), within=120)
    assert statuses[0] == FAILED, outputs
    assert statuses[1] not in (0, None)
    assert "No space left on device" in outputs[0]
    assert "resume from the last checkpoint" in outputs[0]
    assert saved_steps(tmp_path / "checkpoints") == [256, 512]


@pytest.mark.slow
def test_a_checkpoint_that_one_process_cannot_read_is_left_out_by_all(tmp_path):
    statuses, outputs = finish(start_pair("failing_read", tmp_path), within=200)
    assert statuses == [0, 0], outputs
    assert (tmp_path / "checkpoints" / "damaged_step_1024").is_dir()
    assert saved_steps(tmp_path / "checkpoints")[-1] == 1280


@pytest.mark.slow
def test_a_callback_in_one_process_alone_is_refused_by_all(tmp_path):
    statuses, outputs = finish(start_pair("lonely_callback", tmp_path), within=120)
    assert statuses == [1, 1], outputs
    assert all("a callback or none are not the same in all" in output for output in outputs)


@pytest.mark.slow
def test_different_words_are_refused_before_anything_is_written(tmp_path):
    words = ["cartpole_ppo", *SHORT.split()]
    more = f"--distributed --coordinator 127.0.0.1:{free_port()} --num_processes 2 --process_id"
    processes = [
        start([*words, "--algo.n_steps", str(16 + 16 * i), *more.split(), str(i)], 2, tmp_path)
        for i in range(2)
    ]
    statuses, outputs = finish(processes)
    assert statuses == [2, 2], outputs
    assert all("settings and versions are not the same in all" in output for output in outputs)
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
def test_a_port_that_is_taken_is_named(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        words = f"cartpole_ppo --distributed --coordinator 127.0.0.1:{port} --num_processes 2"
        statuses, outputs = finish([start([*words.split(), "--process_id", "0"], 1, tmp_path)])
    assert statuses == [2]
    assert f"cannot listen at port {port}" in outputs[0]


@pytest.mark.slow
def test_a_signal_to_one_process_ends_both_with_a_checkpoint(tmp_path):
    endless = "--runner.total_timesteps 100000000 --algo.n_steps 16 --runner.eval_episodes 0 "
    endless += "--runner.checkpoint_interval 512"
    processes = start_two(["cartpole_ppo", *SHORT.split(), *endless.split()], tmp_path)
    wait_for_checkpoint(tmp_path, processes)
    processes[1].send_signal(signal.SIGTERM)
    statuses, outputs = finish(processes)
    assert statuses == [0, 0], outputs
    assert "Training interrupted" in outputs[0]


@pytest.mark.slow
@pytest.mark.parametrize("index", [0, 1])
def test_processes_that_do_not_come_are_waited_for_so_long_and_no_longer(index, tmp_path):
    port = free_port()
    words = f"cartpole_ppo --distributed --coordinator 127.0.0.1:{port} --num_processes 2"
    words += f" --process_id {index} --timeout 2"
    statuses, outputs = finish([start(words.split(), 1, tmp_path)], within=60)
    assert statuses == [2]
    assert str(port) in outputs[0]
    assert "2 s" in outputs[0]
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
def test_what_does_not_suit_all_processes_is_refused_by_all(tmp_path):
    words = ["cartpole_ppo", *SHORT.split(), "--algo.n_steps", "16"]
    processes = start_two([*words, "--runner.num_devices", "2"], tmp_path)
    statuses, outputs = finish(processes)
    assert statuses == [2, 2]
    assert all("2 processes have 4 devices" in output for output in outputs)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--distributed", "give --coordinator host0:1234, or set JAX_COORDINATOR_ADDRESS"),
        ("--distributed --coordinator a:1", "give --num_processes 2, or set JAX_NUM_PROCESSES"),
        ("--distributed --coordinator a:1 --num_processes 2", "give --process_id 0"),
        ("--distributed --coordinator a --num_processes 2 --process_id 0", "a host and a port"),
        ("--distributed --coordinator a:70000 --num_processes 2 --process_id 0", "a host and a"),
        ("--distributed --coordinator a:1 --num_processes 2 --process_id 2", "process_id 2 of"),
        ("--distributed --coordinator a:1 --num_processes two", "give a whole number"),
        ("--distributed --coordinator", "--coordinator needs the address of process 0"),
        ("--distributed --timeout 0", "--timeout 0: give a whole number of at least 1"),
        ("--num_processes 2", "--num_processes is for several processes: add --distributed"),
        ("--seeds 0:2 --distributed --coordinator a:1 --num_processes 2 --process_id 0", "one run"),
    ],
)
def test_bad_words_are_refused_in_a_sentence(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("SLURM_STEP_NODELIST", "JAX_COORDINATOR_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(jax.config, "update", lambda name, value: None)  # for the other tests
    with pytest.raises(SystemExit):
        main(["train", "cartpole_ppo", *words.split()])
    assert message in capsys.readouterr().err
    assert not any(tmp_path.iterdir())
