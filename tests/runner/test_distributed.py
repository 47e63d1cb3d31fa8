"""One run in two real processes of two devices each: train, save, go on elsewhere, lose one."""

import json
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from processes import environ
from vibe_rl import experiment
from vibe_rl.checkpoint import saved_steps
from vibe_rl.cli import main
from vibe_rl.configs import cli
from vibe_rl.experiment import load_run
from vibe_rl.metrics import read_metrics
from vibe_rl.run_dir import find_runs
from vibe_rl.system.processes import FAILED

WORKER = Path(__file__).parents[1] / "distributed_worker.py"
PIPES = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
SHORT = "--algo.num_envs 8 --algo.hidden_sizes (8,) --algo.schedule_steps 512 "
SHORT += "--runner.log_interval 0 --runner.checkpoint_share 1 --runner.plot false "
SHORT += "--runner.progress_bar false "
FEW_REDUCTIONS = "--algo.n_steps 16 --algo.n_epochs 2 --algo.n_minibatches 2"
"""Each is a wait for the other process, which takes it a share of a core."""
PPO = ["cartpole_ppo", *SHORT.split(), *FEW_REDUCTIONS.split()]  # one program for many tests
SILENT = [*PPO, "--runner.eval_episodes", "0"]
ENDLESS = ["--runner.total_timesteps", "100000000", "--runner.checkpoint_interval", "512"]
OFF_POLICY = SHORT + "--runner.warmup_steps 32 --runner.buffer_size 512 --algo.batch_size 16 "
OFF_POLICY += "--algo.replay_ratio 0.25 --runner.eval_every 80 --runner.eval_episodes 2 "
OFF_POLICY += "--runner.checkpoint_interval 40"
PPO_EVALUATED = "--runner.eval_every 256 --runner.eval_episodes 2 --runner.checkpoint_interval 128"
PRESETS = {
    "cartpole_ppo": [*PPO, *PPO_EVALUATED.split()],
    "cartpole_dqn": ["cartpole_dqn", *OFF_POLICY.split()],
    "pendulum_sac": ["pendulum_sac", *OFF_POLICY.split()],
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
    return subprocess.Popen(command, env=environ(n_devices), cwd=folder, **PIPES)


def start_two(words, folder, timeout=60):
    """The same command in two processes that train together."""
    more = ["--distributed", "--coordinator", f"127.0.0.1:{free_port()}", "--num_processes", "2"]
    more += ["--timeout", str(timeout), "--process_id"]
    return [start([*words, *more, str(i)], 2, folder) for i in range(2)]


def finish(processes, within=240):
    """Exit statuses and outputs."""
    outputs = [process.communicate(timeout=within)[0] for process in processes]
    return [process.returncode for process in processes], outputs


class Pair:
    """Two processes of two devices each that train together and do what they are told.

    See `distributed_worker.py`.
    """

    def __init__(self):
        words = [sys.executable, str(WORKER), str(free_port())]
        how = {"stdin": subprocess.PIPE, "env": environ(2), **PIPES}
        self.processes = [subprocess.Popen([*words, str(i)], **how) for i in range(2)]

    def tell(self, case, words, folder, own=((), ())):
        """Both begin, each with words of its own too."""
        for process, more in zip(self.processes, own, strict=True):
            line = json.dumps([str(folder), case, [*words, *more]])
            print(line, file=process.stdin, flush=True)

    def hear(self, within=240):
        """How it ended in each, and what each said."""
        alarm = threading.Timer(within, self.kill)
        alarm.start()
        ends = [self._hear(process) for process in self.processes]
        alarm.cancel()
        return [status for status, _ in ends], [said for _, said in ends]

    def _hear(self, process):
        lines = []
        for line in process.stdout:
            if line.startswith("done "):
                return int(line.split()[1]), "".join(lines)
            lines.append(line)
        raise AssertionError(f"a process ended: {''.join(lines)}")

    def kill(self):
        for process in self.processes:
            process.kill()

    def do(self, case, words, folder):
        """Both do it."""
        self.tell(case, words, folder)
        return self.hear()

    def train(self, words, folder):
        """Both train to the end; what the first said."""
        statuses, outputs = self.do("command", ["train", *words], folder)
        assert statuses == [0, 0], outputs
        assert "Training" not in outputs[1]
        return outputs[0]


@contextmanager
def killed_after(processes) -> Iterator[None]:
    """None of them is left after the block, however it ends."""
    with ExitStack() as stack:
        for process in processes:
            stack.enter_context(process)
            stack.callback(process.kill)
        yield


@contextmanager
def started_pair() -> Iterator[Pair]:
    """A pair, both of which are gone after the block."""
    pair = Pair()
    with killed_after(pair.processes):
        yield pair


@pytest.fixture(scope="module")
def pair():
    """Two processes for all tests that leave them alive; those start nothing and compile less."""
    with started_pair() as pair:
        yield pair
        for process in pair.processes:
            assert process.stdin is not None
            process.stdin.close()  # at which they end, both at once
        assert [process.wait(timeout=60) for process in pair.processes] == [0, 0]


@pytest.mark.slow
@pytest.mark.parametrize("preset", PRESETS)
def test_two_processes_train_as_one_and_resume_as_one_and_back(preset, pair, tmp_path, monkeypatch):
    first, second, third = (["--runner.total_timesteps", str(n)] for n in TOTALS[preset])
    said = pair.train([*PRESETS[preset], *first], tmp_path)
    run = find_runs(tmp_path / "runs")[0]
    assert f"Training complete | {TOTALS[preset][0]:,} env steps" in said
    monkeypatch.chdir(tmp_path)
    main(["train", "--resume", str(run), "--runner.num_devices", "4", *second])
    pair.train(["--resume", str(run), *third], tmp_path)
    alone, _ = experiment.train(
        cli([*PRESETS[preset], *third, "--runner.num_devices", "4"]), tmp_path / "alone"
    )
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
    is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return jax.random.key_data(leaf) if is_key else leaf


@pytest.mark.slow
def test_a_killed_process_ends_the_other_soon_and_the_run_resumes(pair, tmp_path):
    folders = [tmp_path / name for name in ("first_is_killed", "second_is_killed")]
    with ExitStack() as stack:
        started = []
        for folder in folders:
            folder.mkdir()
            started.append(start_two([*SILENT, *ENDLESS], folder, timeout=10))
            stack.enter_context(killed_after(started[-1]))
        for victim, (folder, processes) in enumerate(zip(folders, started, strict=True)):
            wait_for_checkpoint(folder, processes)
            time.sleep(random.random())
            processes[victim].kill()
        began = time.monotonic()
        for victim, processes in enumerate(started):
            assert_ends_soon(processes, victim, began)
    for folder in folders:
        run = find_runs(folder / "runs")[0]
        last = saved_steps(run.checkpoints)[-1]
        more = ["--runner.total_timesteps", str(last + 1280)]
        said = pair.train(["--resume", str(run), *more], folder)
        assert f"Training complete | {last + 1280:,} env steps" in said


def assert_ends_soon(processes, victim, began):
    """The process that lost another ends within half a minute, and says why."""
    statuses, outputs = finish(processes, within=60)
    assert time.monotonic() - began < 30
    assert statuses[victim] == -signal.SIGKILL
    survivor = 1 - victim
    assert statuses[survivor] not in (0, None)
    lost = ("or lost another", "another task died", "leader task was preempted")
    by_gloo = "gloo::EnforceNotMet"  # a thread of Gloo may see it first, and aborts the process
    assert any(words in outputs[survivor] for words in (*lost, by_gloo)), outputs[survivor]


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


def failed(case, folder):
    """Exit statuses and outputs of two processes that end where one fails."""
    with started_pair() as pair:
        pair.tell(case, SILENT, folder)
        return finish(pair.processes, within=120)


@pytest.mark.slow
def test_what_fails_in_one_process_ends_both(tmp_path):
    statuses, outputs = failed("failing_callback", tmp_path)
    assert statuses[1] == FAILED
    assert "OSError: the disk of process 1 is full" in outputs[1]
    assert "resume from the last checkpoint" in outputs[1]
    assert statuses[0] not in (0, None)


@pytest.mark.slow
def test_a_checkpoint_that_one_process_cannot_write_ends_both(tmp_path):
    statuses, outputs = failed("failing_write", tmp_path)
    assert statuses[0] == FAILED, outputs
    assert statuses[1] not in (0, None)
    assert "No space left on device" in outputs[0]
    assert "resume from the last checkpoint" in outputs[0]
    assert saved_steps(tmp_path / "checkpoints") == [256, 512]


@pytest.mark.slow
def test_a_checkpoint_that_one_process_cannot_read_is_left_out_by_all(pair, tmp_path):
    statuses, outputs = pair.do("failing_read", SILENT, tmp_path)
    assert statuses == [0, 0], outputs
    assert (tmp_path / "checkpoints" / "damaged_step_1024").is_dir()
    assert saved_steps(tmp_path / "checkpoints")[-1] == 1280


@pytest.mark.slow
def test_a_callback_in_one_process_alone_is_refused_by_all(pair, tmp_path):
    statuses, outputs = pair.do("lonely_callback", SILENT, tmp_path)
    assert statuses == [1, 1], outputs
    assert all("a callback or none are not the same in all" in output for output in outputs)


@pytest.mark.slow
def test_different_words_are_refused_before_anything_is_written(pair, tmp_path):
    own = [["--algo.n_steps", n_steps] for n_steps in ("16", "32")]
    pair.tell("command", ["train", *PPO], tmp_path, own)
    statuses, outputs = pair.hear()
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
def test_a_signal_to_one_process_stops_both_with_a_checkpoint(pair, tmp_path):
    pair.tell("command", ["train", *SILENT, *ENDLESS], tmp_path)
    wait_for_checkpoint(tmp_path, pair.processes)
    pair.processes[1].send_signal(signal.SIGTERM)
    statuses, outputs = pair.hear()
    assert statuses == [143, 143], outputs
    assert "Training interrupted" in outputs[0]


@pytest.mark.slow
@pytest.mark.parametrize("index", [0, 1])
def test_processes_that_do_not_come_are_waited_for_so_long_and_no_longer(index, tmp_path):
    port = free_port()
    words = f"cartpole_ppo --distributed --coordinator 127.0.0.1:{port} --num_processes 2"
    words += f" --process_id {index} --timeout 1"
    statuses, outputs = finish([start(words.split(), 1, tmp_path)], within=60)
    assert statuses == [2]
    assert str(port) in outputs[0]
    assert " 1 s" in outputs[0]
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
def test_what_does_not_suit_all_processes_is_refused_by_all(pair, tmp_path):
    words = ["train", *PPO, "--runner.num_devices", "2"]
    statuses, outputs = pair.do("command", words, tmp_path)
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
