"""Sweeps: their programs, their files, their ranking, halving, and how they are resumed."""

import csv
import shutil
import signal
from math import inf

import pytest

from compiling import one_device
from small_run import CONFIG, DRAWN
from vibe_rl.checkpoint import load_metadata, saved_steps
from vibe_rl.cli import main
from vibe_rl.configs.command_line import update_config
from vibe_rl.errors import ConfigError, TrainingInterrupted
from vibe_rl.experiment import resume, trials
from vibe_rl.experiment.config_files import read_config
from vibe_rl.experiment.sweep import compute_rungs, resume_sweep, sweep
from vibe_rl.metrics import read_metrics
from vibe_rl.run_dir import RunDir, find_runs
from vibe_rl.run_dir.divergence import divergence_of

WORDS = "--algo.hidden_sizes (8,) --algo.n_steps 32 --runner.total_timesteps 512 "
WORDS += "--runner.eval_episodes 2 --runner.progress_bar false"


@pytest.fixture(scope="module", autouse=True)
def _one_device():
    with one_device():
        yield


def trained(group):
    """The env step at which each member stands."""
    runs = find_runs(group.root / "members")
    return {run.root.name: saved_steps(run.checkpoints)[-1] for run in runs}


def digests(run):
    return load_metadata(run.checkpoints)["digests"]


def rows_of(run):
    clocks = ("wall_time", "steps_per_second")
    return [{k: v for k, v in row.items() if k not in clocks} for row in read_metrics(run)]


@pytest.mark.parametrize(
    ("n_settings", "halving", "rungs"),
    [
        (9, 3, [112, 334]),
        (26, 3, [112, 334]),
        (4, 2, [250, 500]),
        (2, 2, [500]),
        (5, None, []),
    ],
)
def test_rungs_are_the_budget_divided_until_fewer_settings_are_left_than_that(
    n_settings, halving, rungs
):
    assert compute_rungs(n_settings, halving, 1000) == rungs


RATES = (1e-2, 1e-3, 2e-3, 3e-3)


def by_rate(path, step=inf):
    """Scores planted in place of evaluations: the smaller the learning rate the better."""
    return -read_config(path).algo.lr


@pytest.mark.slow
def test_halving_trains_the_best_on_to_what_they_would_have_been(tmp_path, monkeypatch):
    monkeypatch.setattr(trials, "last_return", by_rate)
    halved, standings = sweep(CONFIG, {"algo.lr": RATES}, range(2), 2, tmp_path)
    assert [s.setting for s in standings] == ["lr=0.001", "lr=0.002", "lr=0.003", "lr=0.01"]
    assert [s.step for s in standings] == [1024, 512, 256, 256]
    assert {name.rpartition("_")[0]: step for name, step in trained(halved).items()} == {
        "lr=0.001_seed": 1024,
        "lr=0.002_seed": 512,
        "lr=0.003_seed": 256,
        "lr=0.01_seed": 256,
    }
    whole, _ = sweep(CONFIG, {"algo.lr": [1e-3]}, range(2), base_dir=tmp_path)
    for seed in range(2):  # the last program was as large, so equal bits are due
        runs = [RunDir.open(g.root / f"members/lr=0.001_seed_{seed}") for g in (halved, whole)]
        assert rows_of(runs[0]) == rows_of(runs[1])
        assert digests(runs[0]) == digests(runs[1])


def test_a_loser_can_be_trained_on(tmp_path, monkeypatch):
    monkeypatch.setattr(trials, "last_return", by_rate)
    group, standings = sweep(CONFIG, {"algo.lr": RATES[:2]}, [3, 4], 2, tmp_path)
    loser = group.root / "members/lr=0.01_seed_3"
    assert trained(group)["lr=0.01_seed_3"] == 512
    assert resume(loser, read_config(loser))[1].step == 1024
    assert resume_sweep(group)[1] == standings  # what it has become does not count


@pytest.mark.slow
def test_a_stopped_sweep_is_resumed_without_repeating_what_is_done(tmp_path, monkeypatch):
    axes = {"algo.lr": [1e-3, 3e-3], "algo.hidden_sizes": [(8,), (4,)]}
    whole, expected = sweep(CONFIG, axes, range(2), 2, tmp_path)
    calls, run_many = [], trials.run_many

    def stopping(run, run_dirs, record, stop, fit):
        """As if Ctrl-C came while the second program was trained."""
        calls.append([run_dir.root.name for run_dir in run_dirs])
        result = run_many(run, run_dirs, record, stop, fit)
        stop.requested = len(calls) == 2
        stop.signal = signal.SIGINT * stop.requested
        return result

    monkeypatch.setattr(trials, "run_many", stopping)
    with pytest.raises(TrainingInterrupted) as interrupted:
        sweep(CONFIG, axes, range(2), 2, tmp_path)
    group, standings = interrupted.value.result
    assert len(calls) == 2
    assert set(trained(group).values()) == {256}
    assert standings == []
    assert resume_sweep(group)[1] == expected
    assert trained(group) == trained(whole)
    assert all(trained(group)[name] > 256 for names in calls[2:] for name in names)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return sweep(DRAWN, {"algo.lr": RATES[:2]}, range(2), 2, tmp_path_factory.mktemp("whole"))


def test_a_sweep_from_python_draws_its_curves(whole):
    assert whole[0].artifact_path("reward_curve.png").exists()


def test_a_sweep_is_not_recorded_with_a_budget_that_it_is_past(whole):
    group, _ = whole
    before = set(group.root.rglob("*"))
    with pytest.raises(ConfigError, match="total_timesteps 512 is less than the 1024 env steps"):
        resume_sweep(group, lambda c: update_config(c, ["--runner.total_timesteps", "512"]))
    assert set(group.root.rglob("*")) == before


def test_a_killed_sweep_is_resumed_to_the_same_bits(whole, tmp_path):
    group, expected = whole
    lost = RunDir.open(shutil.copytree(group.root, tmp_path / "lost", symlinks=True))
    (lost.artifacts / "sweep.csv").unlink()
    best = [lost.root / f"members/{expected[0].setting}_seed_{seed}" for seed in range(2)]
    for path in best:  # as if the process had been killed while the last program was trained
        shutil.rmtree(path / "checkpoints/step_1024")
    assert resume_sweep(lost)[1] == expected
    for path in best:
        whole = RunDir.open(group.root / "members" / path.name)
        assert rows_of(RunDir.open(path)) == rows_of(whole)
        assert digests(RunDir.open(path)) == digests(whole)
    assert (lost.artifacts / "sweep.csv").exists()


@pytest.fixture
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("_own_folder")
def test_the_command_prints_writes_and_draws_a_ranking_that_survives_divergence(capsys):
    words = ["--algo.lr", "inf,1e-3", "--seeds", "1:3", *WORDS.split()]
    main(["sweep", "cartpole_ppo", *words])
    said = capsys.readouterr().out
    (group,) = find_runs("runs", "CartPole-v1_ppo_sweep")
    assert "Training complete" in said
    assert "Diverged | lr=inf_seed_1: actor_loss became nan at update 1" in said
    table = [line for line in said.splitlines() if line.startswith("lr=")]
    assert [line.split()[0] for line in table] == ["lr=0.001", "lr=inf"]
    assert table[1].split()[1:] == ["diverged", "2,", "2", "diverged", "diverged", "(1)", "512"]
    with open(group.artifacts / "sweep.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["setting"] for row in rows] == ["lr=0.001", "lr=inf"]
    assert [row["diverged"] for row in rows] == ["0", "2"]
    assert [float(row["iqm"]) for row in rows][1] == -inf
    assert (group.artifacts / "sweep.png").stat().st_size > 10_000
    assert (group.artifacts / "reward_curve.png").stat().st_size > 10_000
    bad = RunDir.open(group.root / "members/lr=inf_seed_2")
    assert divergence_of(bad).reason.startswith("actor_loss became nan")
    assert not saved_steps(bad.checkpoints)

    main(["evaluate", str(group)])
    said = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[0] for line in said] == [
        "lr=0.001_seed_1",
        "lr=0.001_seed_2",
        "lr=inf_seed_1",
        "lr=inf_seed_2",
        "lr=0.001",
        "lr=inf",
    ]
    assert said[-1] == "lr=inf | IQM diverged of 2 seeds (95 % bootstrap), worst diverged"

    main(["train", "--resume", str(group), "--runner.total_timesteps", "1024"])
    assert "1,024" in capsys.readouterr().out
    assert trained_sound(group) == {1024}
    with pytest.raises(SystemExit):
        main(["train", "--resume", str(group), "--algo.lr", "1e-2"])
    assert "algo.lr is an axis of the sweep: leave it out" in capsys.readouterr().err


def trained_sound(group):
    runs = [run for run in find_runs(group.root / "members") if divergence_of(run) is None]
    return {saved_steps(run.checkpoints)[-1] for run in runs}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("", "no field has several values: name some, as in --algo.lr 1e-4,3e-4, or use train"),
        ("--algo.lr 1e-3,0.001", "algo.lr 0.001 is given twice: name each value once"),
        (
            "--algo.lr 1,2 --algo.lr 3,4",
            "algo.lr is given twice: give all its values",
        ),
        ("--algo.lr 1,,2", "algo.lr '1,,2' has a comma without a value: remove it"),
        ("--algo.lrr 1,2", "unknown field 'algo.lrr': did you mean algo.lr"),
        ("--runner.eval_every 100,200", "runner.eval_every has several values, and only fields of"),
        (
            "--env_kwargs gravity 1,2",
            "'1,2' does not follow a field: write values as",
        ),
        ("--algo.lr 1,2 --seeds 0,0", "seeds [0] are given twice: name each once"),
        ("--algo.lr 1,2 --seeds", "--seeds needs seeds"),
        ("--algo.lr 1,2 --runner.seed 1", "runner.seed is each of --seeds in turn"),
        ("--algo.lr 1,2 --halving", "--halving needs a number"),
        ("--algo.lr 1,2 --halving two", "--halving two: give a whole number"),
        ("--algo.lr 1,2 --halving 1", "halving 1: give at least 2"),
        ("--algo.lr 1,2 --halving 3", "halving 3 of 2 settings stops none: give more settings"),
        ("--algo.lr 1,2 --runner.eval_episodes 0", "runner.eval_episodes 0: settings are ranked"),
        ("--algo.n_minibatches 4,7", "n_minibatches 7 does not divide the batch"),
        ("--algo.lr 1e-3,-1", "lr -1.0: give at least 0"),
        (
            "--algo.lr 1,2 --halving 2 --runner.total_timesteps 900",
            "halving 2 has its first rung at 450 env steps, within the first update or the warm-up",
        ),
    ],
)
@pytest.mark.usefixtures("_own_folder")
def test_bad_input_gets_one_sentence(words, sentence, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["sweep", "cartpole_ppo", *words.split()])
    assert sentence in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_help_says_how_a_grid_is_written(capsys):
    main(["sweep", "--help"])
    assert "--algo.FIELD VALUE,VALUE" in capsys.readouterr().out
