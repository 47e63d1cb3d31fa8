"""Searches: what a trial reports, spaces, studies that workers share, and the command."""

import re
import shlex
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from math import inf, nan

import jax
import optuna
import pytest

from vibe_rl.aggregate import aggregate
from vibe_rl.checkpoint import saved_steps
from vibe_rl.cli import main
from vibe_rl.configs import PRESETS
from vibe_rl.errors import ConfigError
from vibe_rl.many_seeds import members
from vibe_rl.metrics import read_metrics
from vibe_rl.recipe import build
from vibe_rl.run_dir import RunDir, find_runs
from vibe_rl.runner import unload
from vibe_rl.runner.interrupt import StopRequest
from vibe_rl.search import Range, run_trial
from vibe_rl.search.optuna import objective
from vibe_rl.search.space import checked_space, space_of, words_of
from vibe_rl.search.study import (
    SurplusError,
    begun,
    described,
    open_study,
    storage_of,
    within,
    work,
)
from vibe_rl.search.trial import Reports

PRESET = PRESETS["cartpole_ppo"][1]
CONFIG = replace(
    PRESET,
    algo=replace(PRESET.algo, hidden_sizes=(8,), n_steps=32),  # updates of 128 env steps
    runner=replace(
        PRESET.runner,
        total_timesteps=512,
        eval_every=256,
        eval_episodes=2,
        progress_bar=False,
    ),
)
RATES = {"algo.lr": Range(1e-4, 1e-2)}
WORDS = "--algo.hidden_sizes (8,) --algo.n_steps 32 --runner.total_timesteps 512 --seeds 0:2 "
WORDS += "--runner.eval_every 256 --runner.eval_episodes 2 --runner.progress_bar false"


@pytest.fixture
def run_dir(tmp_path):
    return RunDir("trial", tmp_path)


def heard(reports, until=inf):
    """Takes note of reports, and ends the trial at step `until`."""

    def on_report(report):
        reports.append(report)
        return report.step >= until

    return on_report


def evaluated(member):
    return {x["step"]: x["eval_return"] for x in read_metrics(member) if "eval_return" in x}


def test_every_evaluation_of_all_seeds_is_reported_while_the_trial_runs(run_dir):
    reports = []
    outcome = run_trial(CONFIG, {"algo.lr": 1e-3}, [3, 4], run_dir, heard(reports))
    seeds = members(run_dir)
    assert [seed.root.name for seed in seeds] == ["seed_3", "seed_4"]
    assert all(seed.load_config()["algo"]["lr"] == 1e-3 for seed in [run_dir, *seeds])
    scores = [evaluated(seed) for seed in seeds]
    expected = [(step, *aggregate([x[step] for x in scores])[:3]) for step in (256, 512)]
    assert reports == expected
    assert outcome == (reports[-1], True)


def test_the_last_report_comes_when_all_is_saved(run_dir):
    saved = []

    def on_report(report):
        saved.append([saved_steps(seed.checkpoints) for seed in members(run_dir)])
        return True

    config = replace(CONFIG, runner=replace(CONFIG.runner, eval_every=512))
    outcome = run_trial(config, {"algo.lr": 1e-3}, range(2), run_dir, on_report)
    assert saved == [[[512], [512]]]
    assert outcome.complete  # there was nothing left to end


def test_a_trial_that_is_to_end_is_saved_there(run_dir):
    reports = []
    outcome = run_trial(CONFIG, {"algo.lr": 1e-3}, range(2), run_dir, heard(reports, until=256))
    assert [report.step for report in reports] == [256]
    assert outcome == (reports[0], False)
    assert [saved_steps(seed.checkpoints)[-1] for seed in members(run_dir)] == [256, 256]


def test_trials_that_differ_in_numbers_compile_nothing_again(tmp_path, caplog, monkeypatch):
    def compiled_by(lr):
        caplog.clear()
        config = replace(CONFIG, algo=replace(CONFIG.algo, hidden_sizes=(3,)))
        with jax.log_compiles():
            run_trial(config, {"algo.lr": lr}, range(2), RunDir("trial", tmp_path))
        return re.findall(r"Finished XLA compilation of (\S+)", caplog.text)

    assert "jit(run_chunk)" in compiled_by(1e-3)
    assert compiled_by(3e-3) == []
    monkeypatch.setattr(unload, "MANY", 0)
    assert "jit(run_chunk)" in compiled_by(1e-2)  # so that there are never too many for Linux


def test_seeds_that_diverge_count_as_the_lowest_and_end_the_trial(run_dir):
    reports = []
    outcome = run_trial(CONFIG, {"algo.lr": inf}, range(2), run_dir, heard(reports))
    assert [report[1:] for report in reports] == [(-inf, -inf, -inf)]
    assert outcome == (reports[0], False)


def test_a_return_that_is_no_number_counts_as_the_lowest():
    reports, stop = [], StopRequest()
    told = Reports(heard(reports), build(CONFIG), stop)
    told(256, [nan, 1.0, 2.0, 3.0])
    assert (reports[0].iqm, told.ending) == (1.5, False)
    told(384, [nan, 1.0])
    assert (reports[1].iqm, told.ending, stop.requested) == (-inf, True, True)


def interrupting(report):
    signal.raise_signal(signal.SIGINT)
    return False


def test_a_signal_ends_a_trial_as_an_interrupt_after_it_is_saved(run_dir):
    with pytest.raises(KeyboardInterrupt):
        run_trial(CONFIG, {"algo.lr": 1e-3}, [0], run_dir, interrupting)
    assert saved_steps(members(run_dir)[0].checkpoints)[-1] == 256


@pytest.mark.parametrize(
    ("low", "high", "log"),
    [(1e-4, 1e-2, True), (1e-4, 1e-3, True), (0.1, 0.4, False), (0.0, 1.0, False), (1, 64, True)],
)
def test_a_range_is_logarithmic_from_ten_times_on_above_zero(low, high, log):
    assert Range(low, high).log == log


def test_words_say_ranges_values_and_what_all_trials_share():
    words = "cartpole_ppo --algo.lr=1e-4:1e-2 --algo.n-epochs 1:8 --algo.hidden_sizes (8,),(8,8)"
    config, space, shared = space_of([*words.split(), "--algo.gamma", "0.9", "--runner.no_plot"])
    assert space == {
        "algo.hidden_sizes": [(8,), (8, 8)],
        "algo.lr": Range(1e-4, 1e-2),
        "algo.n_epochs": Range(1, 8),
    }
    assert config.algo.gamma == 0.9
    assert shared == ["cartpole_ppo", "--algo.gamma", "0.9", "--runner.no_plot"]
    assert words_of({"algo.lr": 1e-3, "algo.hidden_sizes": (8, 8)}) == [
        *("--algo.lr", "0.001"),
        *("--algo.hidden_sizes", "(8, 8)"),
    ]


def test_an_objective_serves_a_study_of_ones_own(tmp_path):
    space = {**RATES, "algo.hidden_sizes": [(8,), (8, 8)]}
    seen = []
    study = optuna.create_study(direction="maximize", study_name="own", storage=None)
    study.enqueue_trial({"algo.lr": 1e-3, "algo.hidden_sizes": "(8, 8)"})
    study.enqueue_trial({"algo.lr": 3e-3, "algo.hidden_sizes": "(8,)"})
    train = objective(CONFIG, space, range(2), tmp_path)
    study.optimize(train, n_trials=2, callbacks=[lambda study, trial: seen.append(trial.number)])
    assert seen == [0, 1]
    for trial, sizes in zip(study.trials, ([8, 8], [8]), strict=True):
        run_dir = RunDir.open(trial.user_attrs["run"])
        assert run_dir.root.name.startswith(f"own_trial_{trial.number}_")
        assert run_dir.load_config()["algo"]["lr"] == trial.params["algo.lr"]
        assert run_dir.load_config()["algo"]["hidden_sizes"] == sizes
        scores = [evaluated(seed) for seed in members(run_dir)]
        iqm, low, high, _ = aggregate([x[512] for x in scores])
        assert trial.value == iqm
        facts = {"step": 512, "iqm": iqm, "low": low, "high": high, "run": str(run_dir)}
        assert trial.user_attrs == facts
        assert list(trial.intermediate_values) == [256, 512]


class FromStep(optuna.pruners.BasePruner):
    """Prunes a trial at a step; of it, the last report is asked about too."""

    def __init__(self, step):
        self.step = step

    def prune(self, study, trial):
        return trial.last_step >= self.step


@pytest.mark.parametrize(("step", "state"), [(256, "PRUNED"), (512, "COMPLETE")])
def test_the_studys_pruner_ends_a_trial_that_is_not_yet_complete(tmp_path, step, state):
    study = optuna.create_study(direction="maximize", pruner=FromStep(step))
    study.optimize(objective(CONFIG, RATES, range(2), tmp_path), n_trials=1)
    (trial,) = study.trials
    assert trial.state.name == state
    assert trial.user_attrs["step"] == step
    seeds = members(trial.user_attrs["run"])
    assert {saved_steps(seed.checkpoints)[-1] for seed in seeds} == {step}


def test_a_trial_whose_seeds_diverged_is_pruned_and_tells_no_infinity(tmp_path):
    study = optuna.create_study(direction="maximize")
    study.optimize(objective(CONFIG, {"algo.lr": [inf]}, range(2), tmp_path), n_trials=1)
    (trial,) = study.trials
    assert (trial.state.name, trial.intermediate_values) == ("PRUNED", {})
    assert trial.user_attrs["iqm"] == -inf


def test_a_combination_that_cannot_work_is_pruned_with_its_reason(tmp_path):
    space = {"algo.n_steps": [28, 32], "algo.n_minibatches": [4, 8]}  # of batches of 112 and 128
    config = replace(CONFIG, algo=replace(CONFIG.algo, n_steps=32, n_minibatches=4))
    study = optuna.create_study(direction="maximize")
    study.enqueue_trial({"algo.n_steps": 28, "algo.n_minibatches": 32})
    train = objective(config, space | {"algo.n_minibatches": [4, 32]}, [0], tmp_path)
    study.optimize(train, n_trials=1)
    (trial,) = study.trials
    assert trial.state.name == "PRUNED"
    assert "n_minibatches 32 does not divide" in trial.user_attrs["refused"]
    assert not list(tmp_path.iterdir())


ABOUT = described(CONFIG, RATES, range(2))


@pytest.fixture(params=["sqlite:///{}/s.db", "{}/s.journal"])
def storage(request, tmp_path):
    return request.param.format(tmp_path)


def states(study):
    return [trial.state.name for trial in study.trials]


def test_workers_share_a_study_until_all_together_have_begun_the_trials(storage):
    first, second = (open_study("s", storage, ABOUT) for _ in range(2))
    first.ask()
    work(second, lambda trial: 1.0, 3)
    work(first, lambda trial: 1.0, 3)
    assert states(first) == states(second) == ["RUNNING", "COMPLETE", "COMPLETE"]


def test_a_trial_begun_while_another_worker_begins_the_last_one_is_not_trained(storage):
    study, trained = open_study("s", storage, ABOUT), []
    for _ in range(2):
        study.ask()
    late = partial(within, 2, trained.append)
    study.optimize(late, n_trials=1, catch=(SurplusError,))
    assert states(study) == ["RUNNING", "RUNNING", "FAIL"]
    assert trained == []
    assert len(begun(study)) == 2


def test_an_interrupted_trial_has_failed_and_the_search_can_be_started_again(tmp_path):
    study = open_study("s", f"{tmp_path}/s.journal", ABOUT)
    study.pruner = Interrupting()
    train = objective(CONFIG, RATES, [0], tmp_path)
    with pytest.raises(KeyboardInterrupt):
        work(study, train, 1)
    (run_dir,) = find_runs(tmp_path)
    assert study.trials[0].user_attrs == {"run": str(run_dir)}
    assert saved_steps(members(run_dir)[0].checkpoints)[-1] == 256
    study = open_study("s", f"{tmp_path}/s.journal", ABOUT)
    work(study, lambda trial: 1.0, 1)
    assert states(study) == ["FAIL", "COMPLETE"]


class Interrupting(optuna.pruners.BasePruner):
    """As if Ctrl-C came when a trial is reported."""

    def prune(self, study, trial):
        return interrupting(trial)


def test_a_sampler_with_a_seed_repeats_itself_and_goes_on_with_another(tmp_path):
    def drawn(name, seed, n_trials):
        study = open_study("s", f"{tmp_path}/{name}", ABOUT, sampler_seed=seed)
        work(study, lambda trial: trial.suggest_float("x", 0, 1), n_trials)
        return [trial.value for trial in study.trials]

    assert drawn("a", 7, 2) == drawn("b", 7, 2)
    assert drawn("c", 8, 2) != drawn("a", 7, 2)
    assert len(set(drawn("a", 7, 4))) == 4


@pytest.fixture
def _own_folder(tmp_path, monkeypatch):
    """Where a command writes; what it does to Ctrl-C and to Optuna's voice is undone."""
    monkeypatch.chdir(tmp_path)
    handler, verbosity = signal.getsignal(signal.SIGINT), optuna.logging.get_verbosity()
    yield
    signal.signal(signal.SIGINT, handler)
    optuna.logging.set_verbosity(verbosity)


SEARCH = ["search", "cartpole_ppo", "--algo.lr", "1e-4:1e-2", *WORDS.split()]


@pytest.mark.usefixtures("_own_folder")
def test_the_command_tells_the_trials_and_the_best_with_its_command(capsys):
    main([*SEARCH, "--trials", "2", "--sampler_seed", "1"])
    said = dict(line.split(" | ", 1) for line in capsys.readouterr().out.splitlines())
    assert list(said) == [
        *("Trial 0", "Trial 1", "Search complete", "Best", "Values", "Run"),
        "Train with other seeds",
    ]
    assert re.fullmatch(
        r"lr=\S+ \| IQM .* at 512 env steps \| runs/cartpole_ppo_trial_0_\w+", said["Trial 0"]
    )
    assert said["Search complete"] == "2 of 2 trials begun, 0 pruned, 0 running"
    study = optuna.load_study(study_name="cartpole_ppo", storage=storage_of("runs/search.journal"))
    assert said["Best"].startswith(f"trial {study.best_trial.number}, IQM ")
    assert said["Run"] == study.best_trial.user_attrs["run"]
    lr = study.best_params["algo.lr"]
    assert said["Values"] == f"--algo.lr {lr}"

    _, *words = shlex.split(said["Train with other seeds"])
    assert words[-2:] == ["--seeds", "2:4"]
    main([*words, "--runner.plot", "false"])
    (again,) = find_runs("runs", "CartPole-v1_ppo")
    assert again.load_config()["algo"]["lr"] == lr
    assert [seed.load_config()["runner"]["seed"] for seed in members(again)] == [2, 3]

    capsys.readouterr()
    main([*SEARCH, "--trials", "2"])
    assert "Trial" not in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main([*SEARCH, "--algo.gamma", "0.9:0.999"])
    sentence = "study 'cartpole_ppo' has another space: give the same again, or another --study"
    assert sentence in capsys.readouterr().err


@pytest.mark.slow
def test_two_processes_share_a_search(storage, tmp_path):
    command = [sys.executable, "-m", "vibe_rl", *SEARCH, "--storage", storage, "--trials", "5"]
    how = {"cwd": tmp_path, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    workers = [subprocess.Popen(command, **how) for _ in range(2)]
    said = [worker.communicate(timeout=300) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], said
    told = [re.findall(r"^Trial (\d+)", out, re.MULTILINE) for out, _ in said]
    study = optuna.load_study(study_name="cartpole_ppo", storage=storage_of(storage))
    done = [trial.number for trial in study.trials if trial.state.name != "FAIL"]
    assert len(done) == 5
    assert sorted(int(number) for each in told for number in each) == done
    assert all(told), "one of them did nothing"
    assert len(find_runs(tmp_path / "runs")) == 5


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("", "no field has a range: name some, as in --algo.lr 1e-4:1e-2, or use train"),
        ("--algo.lrr 1:2", "unknown field 'algo.lrr': did you mean algo.lr"),
        ("--runner.eval_every 1:2", "runner.eval_every has several values, and only fields of"),
        ("--algo.lr 2:1", "algo.lr 2.0:1.0: give the lower end first"),
        ("--algo.lr 1:1", "algo.lr 1.0 is given twice"),
        ("--algo.lr 1:2 --algo.lr 3:4", "algo.lr has values twice"),
        ("--algo.hidden_sizes 8:9", "algo.hidden_sizes from (8,) to (9,): only numbers have a"),
        ("--algo.lr -1:1", "lr -1.0: give at least 0"),
        ("--algo.n_minibatches 4,7", "n_minibatches 7 does not divide the batch"),
        ("--algo.lr 1:2 --runner.eval_episodes 0", "runner.eval_episodes 0: trials are judged"),
        ("--algo.lr 1:2 --runner.seed 1", "runner.seed is each of --seeds in turn"),
        ("--algo.lr 1:2 --runner.resume true", "runner.resume, runner.overwrite and"),
        ("--algo.lr 1:2 --trials 0", "--trials 0: give a whole number of at least 1"),
        ("--algo.lr 1:2 --trials", "--trials needs a number"),
        ("--algo.lr 1:2 --sampler_seed x", "--sampler_seed x: give a whole number of at least 0"),
        ("--algo.lr 1:2 --pruner meadian", "unknown pruner 'meadian': did you mean median?"),
        ("--algo.lr 1:2 --seeds 0,0", "seeds [0] are given twice"),
        (
            "--algo.lr 1:2 --storage sqlite:////none/s.db",
            "storage 'sqlite:////none/s.db' cannot be",
        ),
        ("--algo.lr 1:2 --storage nothing://s", "storage 'nothing://s' cannot be opened"),
        ("--algo.lr 1:2 --storage .", "storage '.' cannot be opened"),
    ],
)
@pytest.mark.usefixtures("_own_folder")
def test_bad_input_gets_one_sentence(words, sentence, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["search", "cartpole_ppo", *words.split()])
    assert sentence in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("domain", [Range(1e-3, inf), Range(True, False)])
def test_a_range_has_finite_numbers(domain):
    name = "algo.lr" if domain.high == inf else "algo.normalize_obs"
    with pytest.raises(ConfigError, match="only numbers have a range"):
        checked_space(CONFIG, {name: domain}, [0])


@pytest.mark.usefixtures("_own_folder")
def test_without_optuna_the_command_says_what_to_install(tmp_path, monkeypatch, capsys):
    for name in [name for name in sys.modules if name.split(".")[0] == "optuna"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SystemExit):
        main(SEARCH)
    assert "searches need optuna: pip install 'vibe-rl[optuna]'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_help_tells_how_a_space_is_written(capsys):
    main(["search", "--help"])
    assert "--algo.FIELD LOW:HIGH" in capsys.readouterr().out
