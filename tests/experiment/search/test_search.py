"""Searches: what a trial reports, where a search looks, and objectives of studies."""

import re
from dataclasses import replace
from math import inf, nan

import jax
import optuna
import pytest

from compiling import one_device
from searching import CONFIG, RATES, collect, evaluated, interrupting
from small_run import of_its_own
from vibe_rl.analysis.aggregate import aggregate
from vibe_rl.checkpoint import saved_steps
from vibe_rl.errors import ConfigError
from vibe_rl.experiment.build import build
from vibe_rl.experiment.search import Range, run_trial
from vibe_rl.experiment.search.objective import TrialMonitor
from vibe_rl.experiment.search.optuna import objective
from vibe_rl.experiment.search.space import as_options, validate_space
from vibe_rl.run_dir import RunDir
from vibe_rl.run_dir.group import members
from vibe_rl.system import programs as unload
from vibe_rl.system.signals import StopRequest


@pytest.fixture(scope="module", autouse=True)
def _one_device():
    with one_device():
        yield


@pytest.fixture
def run_dir(tmp_path):
    return RunDir("trial", tmp_path)


def test_every_evaluation_of_all_seeds_is_reported_while_the_trial_runs(run_dir):
    reports = []
    outcome = run_trial(CONFIG, {"algo.lr": 1e-3}, [3, 4], run_dir, collect(reports))
    seeds = members(run_dir)
    assert [seed.root.name for seed in seeds] == ["seed_3", "seed_4"]
    assert all(seed.load_config()["algo"]["lr"] == 1e-3 for seed in [run_dir, *seeds])
    scores = [evaluated(seed) for seed in seeds]
    expected = [(step, *aggregate([x[step] for x in scores])[:3]) for step in (256, 512)]
    assert reports == expected
    assert outcome == (reports[-1], True)


def test_the_last_report_comes_when_all_is_saved(run_dir):
    saved = []

    def should_stop(evaluation):
        saved.append([saved_steps(seed.checkpoints) for seed in members(run_dir)])
        return True

    config = replace(CONFIG, runner=replace(CONFIG.runner, eval_every=512))
    outcome = run_trial(config, {"algo.lr": 1e-3}, range(2), run_dir, should_stop)
    assert saved == [[[512], [512]]]
    assert outcome.complete  # there was nothing left to end


def test_a_trial_that_is_to_end_is_saved_there(run_dir):
    reports = []
    outcome = run_trial(CONFIG, {"algo.lr": 1e-3}, range(2), run_dir, collect(reports, until=256))
    assert [report.step for report in reports] == [256]
    assert outcome == (reports[0], False)
    assert [saved_steps(seed.checkpoints)[-1] for seed in members(run_dir)] == [256, 256]


def test_trials_that_differ_in_numbers_compile_nothing_again(tmp_path, caplog, monkeypatch):
    def compiled_by(lr):
        caplog.clear()
        with jax.log_compiles():
            run_trial(config, {"algo.lr": lr}, range(2), RunDir("trial", tmp_path))
        return re.findall(r"Finished XLA compilation of (\S+)", caplog.text)

    config, dropped = of_its_own(CONFIG), []
    monkeypatch.setattr(jax, "clear_caches", lambda: dropped.append("all"))
    monkeypatch.setattr(unload, "MANY", inf)
    assert "jit(run_chunk)" in compiled_by(1e-3)
    assert compiled_by(3e-3) == dropped == []
    monkeypatch.setattr(unload, "MANY", 0)
    compiled_by(1e-2)
    assert dropped == ["all"]  # so that there are never too many for Linux


def test_seeds_that_diverge_count_as_the_lowest_and_end_the_trial(run_dir):
    reports = []
    outcome = run_trial(CONFIG, {"algo.lr": inf}, range(2), run_dir, collect(reports))
    assert [report[1:] for report in reports] == [(-inf, -inf, -inf)]
    assert outcome == (reports[0], False)


def test_a_return_that_is_not_a_number_counts_as_the_lowest():
    reports, stop = [], StopRequest()
    monitor = TrialMonitor(collect(reports), build(CONFIG), stop)
    monitor(256, [nan, 1.0, 2.0, 3.0])
    assert (reports[0].iqm, monitor.stopped) == (1.5, False)
    monitor(384, [nan, 1.0])
    assert (reports[1].iqm, monitor.stopped, stop.requested) == (-inf, True, True)


def test_a_signal_ends_a_trial_as_an_interrupt_after_it_is_saved(run_dir):
    with pytest.raises(KeyboardInterrupt):
        run_trial(CONFIG, {"algo.lr": 1e-3}, range(2), run_dir, interrupting)
    assert [saved_steps(seed.checkpoints)[-1] for seed in members(run_dir)] == [256, 256]


def test_values_become_options_of_a_command_line():
    assert as_options({"algo.lr": 1e-3, "algo.hidden_sizes": (8, 8)}) == [
        *("--algo.lr", "0.001"),
        *("--algo.hidden_sizes", "(8, 8)"),
    ]


def test_an_objective_serves_a_study_of_ones_own(tmp_path, monkeypatch):
    def after_trial(study, trial):
        seen.append(trial.number)
        monkeypatch.chdir(tmp_path / "runs")  # as an env may do

    monkeypatch.chdir(tmp_path)
    space = {**RATES, "algo.hidden_sizes": [(8,), (8, 8)]}
    seen = []
    study = optuna.create_study(direction="maximize", study_name="own", storage=None)
    study.enqueue_trial({"algo.lr": 1e-3, "algo.hidden_sizes": "(8, 8)"})
    study.enqueue_trial({"algo.lr": 3e-3, "algo.hidden_sizes": "(8,)"})
    train = objective(CONFIG, space, range(2), "runs")
    study.optimize(train, n_trials=2, callbacks=[after_trial])
    assert study.trials[0].user_attrs["run"].startswith("runs/own_trial_0_")
    monkeypatch.chdir(tmp_path)
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


def test_a_trial_whose_seeds_diverged_is_pruned_and_reports_no_infinity(tmp_path):
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


@pytest.mark.parametrize("domain", [Range(1e-3, inf), Range(True, False)])
def test_a_range_has_finite_numbers(domain):
    name = "algo.lr" if domain.high == inf else "algo.normalize_obs"
    with pytest.raises(ConfigError, match="a range needs finite numbers"):
        validate_space(CONFIG, {name: domain}, [0])
