"""MLflow: a database in the runs' folder, a real server, a dead one and a silent one."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import warnings
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from processes import environ
from small_run import CONFIG, DRAWN
from vibe_rl.errors import ConfigError, reason, without_password
from vibe_rl.experiment import resume, train
from vibe_rl.metrics import read_metrics
from vibe_rl.run_dir import RunDir, find_runs
from vibe_rl.tracking import MLflowTracker
from vibe_rl.tracking.background import PATIENCE
from vibe_rl.tracking.mlflow import read_ids
from vibe_rl.tracking.named import caught_up, send

SMALL = replace(CONFIG, runner=replace(CONFIG.runner, eval_episodes=0, total_timesteps=512))


@pytest.fixture(autouse=True)
def _patient(monkeypatch):
    """Tests of what arrives wait on a busy machine too."""
    monkeypatch.setattr("vibe_rl.tracking.background.PATIENCE", 60.0)


pytestmark = pytest.mark.usefixtures("own_mlflow")


def tracked(config, **runner):
    return replace(config, runner=replace(config.runner, track=("mlflow",), **runner))


def client_and_run(run_dir):
    ids = read_ids(run_dir)
    client = MlflowClient(ids["tracking_uri"])
    return client, client.get_run(ids["run_id"])


def assert_alike(run_dir):
    """The run has every number of the log, once."""
    client, run = client_and_run(run_dir)
    wanted = {}
    for row in read_metrics(run_dir):
        for name, value in row.items():
            if name != "step" and value is not None:
                wanted.setdefault(name, []).append((row["step"], value))
    assert run.data.metrics.keys() == wanted.keys()
    for name, pairs in wanted.items():
        found = client.get_metric_history(run.info.run_id, name)
        found = sorted((metric.step, metric.value) for metric in found)
        assert [step for step, _ in found] == [step for step, _ in pairs], name
        assert [x for _, x in found] == pytest.approx([x for _, x in pairs]), name


def test_a_run_has_its_config_rows_files_and_end(tmp_path):
    run_dir, _ = train(tracked(DRAWN), "runs")
    assert_alike(run_dir)
    client, run = client_and_run(run_dir)
    assert (tmp_path / "runs" / "mlflow.db").exists()
    assert run.info.status == "FINISHED"
    assert run.info.run_name == run_dir.root.name
    assert client.get_experiment(run.info.experiment_id).name == "CartPole-v1_ppo"
    params = run.data.params
    assert (params["algo.hidden_sizes"], params["env_id"]) == ("[8]", "CartPole-v1")
    assert {"versions.jax", "versions.vibe_rl", "commit"} <= params.keys()
    figures = client.list_artifacts(run.info.run_id, "figures")
    assert [file.path for file in figures] == ["figures/reward_curve.png"]
    (best,) = client.list_artifacts(run.info.run_id, "checkpoints")
    assert best.path == f"checkpoints/{run_dir.best_checkpoint.name}"


def test_a_resumed_run_continues_its_run_and_changed_settings_are_tags(capsys):
    run_dir, _ = train(tracked(CONFIG, total_timesteps=512), "runs")
    changed = tracked(CONFIG)
    resume(run_dir, replace(changed, algo=replace(changed.algo, lr=0.5)))
    assert_alike(run_dir)
    _, run = client_and_run(run_dir)
    assert run.data.params["algo.lr"] != "0.5"
    assert run.data.tags["resumed.algo.lr"] == "0.5"


def test_rows_that_come_again_after_a_crash_are_there_once():
    run_dir, _ = train(CONFIG, "runs")
    send("mlflow", run_dir)
    tracker = caught_up("mlflow", run_dir, step=512)  # as a run that resumes there
    for row in read_metrics(run_dir):
        if row["step"] > 512:
            tracker.log(row, row["step"])
    tracker.log({"wall_time": 9.0, "approx_kl": 0.5}, 1152)
    tracker.close()
    with run_dir.log_path().open("a") as log:
        log.write('{"step": 1152, "wall_time": 9.0, "approx_kl": 0.5}\n')
    assert_alike(run_dir)


def test_what_was_lost_is_sent_later_and_only_once():
    run_dir, _ = train(DRAWN, "runs")
    for _ in range(2):
        send("mlflow", run_dir)
        assert_alike(run_dir)


def test_members_of_a_group_are_nested_in_one_run():
    group, _ = train(tracked(SMALL), "runs", seeds=range(3))
    client, parent = client_and_run(group)
    children = client.search_runs(
        [parent.info.experiment_id], f"tags.mlflow.parentRunId = '{parent.info.run_id}'"
    )
    assert sorted(run.info.run_name for run in children) == ["seed_0", "seed_1", "seed_2"]
    assert {run.info.status for run in [parent, *children]} == {"FINISHED"}
    assert parent.info.run_name == group.root.name


def test_a_callback_that_raises_leaves_a_failed_run_with_its_data():
    def fails(step, agent_state, metrics):
        if step > 256:
            raise OSError("mine")

    with pytest.raises(OSError, match="mine"):
        train(tracked(SMALL), "runs", callback=fails)
    (path,) = [path for path in Path("runs").iterdir() if path.name.startswith("CartPole")]
    _, run = client_and_run(RunDir.open(path))
    assert run.info.status == "FAILED"
    assert run.data.metrics["approx_kl"] >= 0


TRAIN = """
import sys
from test_mlflow import SMALL, tracked
from vibe_rl.experiment import train
train(tracked(SMALL), sys.argv[1])
"""


def test_two_processes_at_a_new_database_lose_nothing(tmp_path):
    paths = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1])])
    how = {"env": environ(PYTHONPATH=os.pathsep.join([paths, os.environ.get("PYTHONPATH", "")]))}
    command = [sys.executable, "-c", TRAIN, str(tmp_path / "runs")]
    for process in [subprocess.Popen(command, **how) for _ in range(2)]:
        assert process.wait(timeout=120) == 0
    runs = find_runs(tmp_path / "runs")
    assert len(runs) == 2
    for run_dir in runs:
        assert_alike(run_dir)


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


@contextmanager
def mlflow_server(folder):
    """The address of a server that listens on loopback."""
    port = free_port()
    words = ["server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    words += ["--backend-store-uri", f"sqlite:///{folder}/server.db"]
    words += ["--artifacts-destination", f"{folder}/files"]
    more = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    log = (folder / "server.log").open("w")
    command = [str(Path(sys.executable).with_name("mlflow")), *words]
    how = {"stdout": log, "stderr": log, "start_new_session": True, "env": os.environ | more}
    with log, subprocess.Popen(command, **how) as process:
        try:
            address = f"http://127.0.0.1:{port}"
            wait_for(f"{address}/health", process)
            yield address
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def wait_for(address, process):
    until = time.monotonic() + 120
    while time.monotonic() < until:
        assert process.poll() is None
        try:
            with urllib.request.urlopen(address, timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.2)
    raise AssertionError("the server did not come up")


@pytest.mark.slow
def test_a_real_server_gets_the_run(tmp_path_factory, monkeypatch):
    with mlflow_server(tmp_path_factory.mktemp("server")) as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        run_dir, _ = train(tracked(DRAWN), "runs")
        assert_alike(run_dir)
        client, run = client_and_run(run_dir)
        assert run.info.status == "FINISHED"
        assert len(client.list_artifacts(run.info.run_id, "figures")) == 1


def trained_beside(address, monkeypatch):
    """What was warned of in a training whose server is at an address, and how long it took."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.setattr("vibe_rl.tracking.background.PATIENCE", PATIENCE)
    began = time.monotonic()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        run_dir, result = train(tracked(SMALL), "runs")
    assert result.step == 512
    assert read_metrics(run_dir)[-1]["step"] == 512
    ours = [str(w.message) for w in warned if "ignored from now on" in str(w.message)]
    return ours, time.monotonic() - began


def test_a_dead_server_costs_a_run_one_warning(monkeypatch):
    train(SMALL, "runs")  # compiles
    warned, seconds = trained_beside(f"http://127.0.0.1:{free_port()}", monkeypatch)
    assert len(warned) == 1
    assert "mlflow failed" in warned[0]
    assert seconds < 10.0


def test_a_server_that_accepts_and_never_answers_costs_a_run_one_warning(monkeypatch):
    train(SMALL, "runs")
    with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        warned, seconds = trained_beside(address, monkeypatch)
    assert len(warned) == 1
    assert seconds < 10.0


@pytest.mark.parametrize("address", ["file:./mlruns", "./mlruns", "file:///tmp/mlruns"])
def test_an_address_that_is_a_folder_is_refused_before_anything_is_written(address, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    with pytest.raises(ConfigError, match="no longer writes to folders, give sqlite:///FILE or"):
        train(tracked(SMALL), "runs")
    assert not Path("runs").exists()


def test_a_deleted_experiment_is_restored_and_that_is_said(tmp_path, caplog):
    how = {"tracking_uri": f"sqlite:///{tmp_path}/own.db", "experiment": "mine"}
    first = MLflowTracker(**how)
    first.client.delete_experiment(first.experiment_id)
    again = MLflowTracker(**how)
    assert again.experiment_id == first.experiment_id
    assert again.client.get_experiment(first.experiment_id).lifecycle_stage == "active"
    assert "mine was deleted: it is restored" in caplog.text


def test_a_run_that_was_deleted_is_made_anew():
    run_dir, _ = train(SMALL, "runs")
    send("mlflow", run_dir)
    client, run = client_and_run(run_dir)
    client.delete_run(run.info.run_id)
    send("mlflow", run_dir)
    assert_alike(run_dir)
    assert client_and_run(run_dir)[1].info.run_id != run.info.run_id


def test_a_password_of_the_address_is_not_written_down():
    assert without_password("http://me:secret@host:5000/a@b") == "http://host:5000/a@b"
    assert without_password("http://u:p@ss@host") == "http://host"
    assert without_password("sqlite:////a/b@c/mlflow.db") == "sqlite:////a/b@c/mlflow.db"
    assert reason(OSError("no http://me:secret@host/x")) == "no http://host/x"


def test_infinities_are_not_sent_and_names_are_those_that_mlflow_takes(tmp_path):
    tracker = MLflowTracker(tracking_uri=f"sqlite:///{tmp_path}/own.db", experiment="e")
    tracker.log({"a(b)": 1.0, "worst": float("-inf"), "text": "x", "ok": True}, 3)
    tracker.close("failed")
    run = tracker.client.get_run(tracker.run_id)
    assert run.data.metrics == {"a_b_": 1.0, "ok": 1.0}
    assert run.info.status == "FAILED"
