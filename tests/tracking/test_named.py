"""Trackers by name: on the command line, in a config, where one is not installed."""

import importlib.util
import logging
import struct
from dataclasses import replace

import pytest

from small_run import CONFIG
from vibe_rl.algorithms.ppo import PPOConfig
from vibe_rl.cli import main
from vibe_rl.cli.shared.options import with_trackers
from vibe_rl.env import AutoResetWrapper, make
from vibe_rl.errors import ConfigError
from vibe_rl.experiment import train
from vibe_rl.experiment.group import Group, finish_group
from vibe_rl.metrics import read_metrics
from vibe_rl.run_dir import RunDir, find_runs
from vibe_rl.run_dir.notes import SESSIONS, SessionNote, add_note
from vibe_rl.runner import RunnerConfig, train_ppo
from vibe_rl.system.notices import say_once
from vibe_rl.tracking import summarize_run
from vibe_rl.tracking.named import TRACKERS, caught_up, how_it_ended
from vibe_rl.tracking.opening import is_installed

TINY = ["--runner.total_timesteps", "512", "--runner.eval_episodes", "1", "--runner.plot", "false"]


def tracked(*names):
    return replace(CONFIG, runner=replace(CONFIG.runner, track=names, total_timesteps=256))


def test_the_option_is_a_way_to_write_the_field():
    words = with_trackers(["cartpole_ppo", "--track", "tensorboard,mlflow", "--algo.lr", "1"])
    assert words == [
        *("cartpole_ppo", "--algo.lr", "1"),
        *("--runner.track", "('tensorboard', 'mlflow')"),
    ]
    assert with_trackers(["a"]) == ["a"]


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (("tensorbord",), "unknown tracker 'tensorbord': did you mean tensorboard?"),
        (("mlflow", "mlflow"), "name each tracker once"),
    ],
)
def test_a_wrong_name_is_refused_before_anything_is_written(names, sentence, tmp_path):
    with pytest.raises(ConfigError, match=sentence):
        train(tracked(*names), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_named_trackers_need_a_place_for_their_files():
    env, env_params = make("CartPole-v1")
    runner = RunnerConfig(total_timesteps=1024, track=("tensorboard",))
    how = {"ppo_config": PPOConfig(), "runner_config": runner}
    with pytest.raises(ConfigError, match="needs a run directory: give run_dir, or trackers"):
        train_ppo(AutoResetWrapper(env), env_params, **how)


@pytest.mark.parametrize("name", [name for name, known in TRACKERS.items() if known.package])
def test_one_that_is_not_installed_is_left_out_and_a_line_says_what_to_install(
    name, tmp_path, monkeypatch, caplog
):
    find_spec = importlib.util.find_spec
    package = TRACKERS[name].package
    monkeypatch.setattr(
        "vibe_rl.tracking.opening.find_spec", lambda n: None if n == package else find_spec(n)
    )
    say_once.cache_clear()
    with caplog.at_level(logging.WARNING, logger="vibe_rl"):
        run_dir, _ = train(tracked(name), tmp_path)
    assert not is_installed(name)
    assert [r.message for r in caplog.records if "needs" in r.message] == [
        f"track {name} needs {package}, so nothing is sent: pip install 'vibe-rl[{name}]'."
    ]
    assert read_metrics(run_dir)


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        "train cartpole_ppo --seeds 0:2 --track=tensorboard",
        "sweep cartpole_ppo --algo.lr 1e-3,2e-3 --seeds 0:1 --track tensorboard",
    ],
    ids=["seeds", "sweep"],
)
def test_every_command_that_trains_tracks(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    main([*words.split(), *TINY])
    (run,) = find_runs("runs")
    runs = find_runs(run.root / "members") or [run] if (run.root / "members").exists() else [run]
    for each in runs:
        assert list(each.logs.glob("events.out.tfevents.*")), each


def test_a_finished_run_is_sent_by_a_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run_dir, _ = train(tracked(), "runs")
    main(["track", str(run_dir), "--to", "tensorboard"])
    assert capsys.readouterr().out == f"Tracked | {run_dir} | tensorboard\n"
    assert list(run_dir.logs.glob("events.out.tfevents.*"))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["runs"], "name runs and trackers: vibe-rl track RUN --to mlflow."),
        (["--to", "mlflow"], "name runs and trackers"),
        (["runs", "--to", "mlfow"], "unknown tracker 'mlfow': did you mean mlflow?"),
        (["nowhere", "--to", "tensorboard"], "is not a run directory"),
    ],
)
def test_bad_words_are_refused_in_a_sentence(words, sentence, capsys):
    with pytest.raises(SystemExit):
        main(["track", *words])
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("sessions", "status"),
    [
        ([], "failed"),  # killed in its first
        ([(64, "finished")], "finished"),
        ([(None, "failed")], "failed"),
        ([(32, "interrupted")], "failed"),  # resumed, and killed then
        ([(32, "interrupted"), (64, "finished")], "finished"),
        ([(64, "interrupted")], "interrupted"),
    ],
)
def test_a_tracker_is_told_how_a_run_ended(sessions, status, tmp_path):
    run_dir = RunDir(base_dir=tmp_path)
    run_dir.log_path().write_text('{"step": 64, "update": 2}\n')
    for step, how in sessions:
        add_note(run_dir, SESSIONS, SessionNote(0, step, how, None))
    assert how_it_ended(run_dir) == status


def test_a_log_of_someone_elses_loop_counts_as_finished(tmp_path):
    run_dir = RunDir(base_dir=tmp_path)
    run_dir.log_path().write_text('{"step": 64}\n')
    assert how_it_ended(run_dir) == "finished"


def test_a_log_is_not_read_where_who_trains_tells_all_of_it_again(tmp_path):
    run_dir = RunDir(base_dir=tmp_path)
    run_dir.log_path().write_text('{"step": 64, "loss": 0.5}\n{"step": 128, "lo')  # written anew
    tracker = caught_up("sqlite", run_dir, -1, run_dir.log_path().stat().st_size)
    tracker.log({"loss": 0.25}, 0)
    tracker.close()
    assert summarize_run(run_dir.root).episodes == 0


PNG = b"\x89PNG\r\n\x1a\n" + bytes(8) + struct.pack(">II", 3, 2)


def group_in(tmp_path, *statuses):
    """A group with a figure, and a member for each of the statuses."""
    group = RunDir(base_dir=tmp_path)
    group.artifact_path("reward_curve.png").write_bytes(PNG)
    for status in statuses:
        member = RunDir(base_dir=group.root / "members", run_id=f"seed_{status}")
        member.log_path().write_text('{"step": 64, "update": 2}\n')
        add_note(member, SESSIONS, SessionNote(0, 64, status, None))
    return group


def has_figure(group):
    return b"reward_curve" in b"".join(x.read_bytes() for x in group.logs.glob("events*"))


def test_the_figures_of_a_group_are_sent_to_its_trackers(tmp_path):
    group = group_in(tmp_path, "finished")
    runner = replace(CONFIG.runner, track=("tensorboard", "sqlite"), plot=False)
    finish_group(Group(group, replace(CONFIG, runner=runner), []))
    assert has_figure(group)
    assert not list(group.logs.glob("*.db"))  # which keeps no files


def test_a_group_is_sent_with_its_members_and_ended_as_the_worst_of_them(tmp_path, capsys):
    group = group_in(tmp_path, "finished", "interrupted")
    main(["track", str(group.root), "--to", "tensorboard,sqlite"])
    assert has_figure(group)
    assert capsys.readouterr().out.count("Tracked") == 5
    assert how_it_ended(group) == "interrupted"
