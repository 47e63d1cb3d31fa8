"""Trials: how they are ranked; groups: which runs share a program."""

import os
import signal
from contextlib import nullcontext
from dataclasses import replace
from math import inf

import jax
import pytest

from compiling import one_device
from small_run import CONFIG, of_its_own
from vibe_rl.experiment import trials
from vibe_rl.experiment.build import build
from vibe_rl.experiment.grid import expand_grid
from vibe_rl.experiment.group import Member, by_program
from vibe_rl.experiment.trials import Trial, last_return, rank_trials, train_trials
from vibe_rl.metrics import MetricsLogger
from vibe_rl.run_dir import RunDir
from vibe_rl.run_dir.divergence import Divergence, mark_diverged
from vibe_rl.runner.many.fit import fit_many
from vibe_rl.runner.many.runs import side_by_side
from vibe_rl.system.signals import StopRequest


def runs_on(axes, config=CONFIG):
    return [build(setting.config) for setting in expand_grid(config, axes)]


def test_many_learning_rates_are_one_program(caplog):
    runs = runs_on({"algo.lr": [1e-4, 1e-3, 3e-3, 1e-2]}, of_its_own(CONFIG))
    (group,) = by_program(runs, runs)
    with jax.log_compiles(), one_device():
        fit_many(side_by_side(group))
    compiled = [r for r in caplog.records if "Finished XLA compilation of jit(run_chunk)" in r.msg]
    assert len(compiled) == 1


def test_shapes_have_a_program_each_and_numbers_none():
    axes = {"algo.lr": [1e-3, 1e-2], "algo.hidden_sizes": [(8,), (16,)], "algo.gamma": [0.9, 0.99]}
    runs = runs_on(axes)
    groups = by_program(list(range(8)), runs)
    assert groups == [[0, 1, 4, 5], [2, 3, 6, 7]]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_programs_and_not_only_the_one_that_runs(number, tmp_path, monkeypatch):
    started = []

    def run_until_signal(run, run_dirs, record, stop, fit):
        with StopRequest() if stop is None else nullcontext():  # as `run_many` does
            started.extend(run_dirs)
            os.kill(os.getpid(), number)

    monkeypatch.setattr(trials, "run_many", run_until_signal)
    each = [
        Member(RunDir(base_dir=tmp_path, run_id=f"run_{i}"), CONFIG, run)
        for i, run in enumerate(runs_on({"algo.hidden_sizes": [(8,), (16,)]}))
    ]
    handler = signal.getsignal(number)
    assert not train_trials([Trial("both", {}, each)])
    assert started == [each[0].run_dir]
    assert signal.getsignal(number) is handler


def plant(tmp_path, returns_of):
    """Trials whose members' evaluations are `[(step, return), ...]`."""
    run = build(CONFIG)
    for name, seeds in returns_of.items():
        members = []
        for seed, evaluations in enumerate(seeds):
            run_dir = RunDir(base_dir=tmp_path, run_id=f"{name}_seed_{seed}")
            with MetricsLogger(run_dir.log_path()) as log:
                for step, figure in evaluations:
                    log.log({"eval_return": figure}, step)
            seeded = replace(CONFIG, runner=replace(CONFIG.runner, seed=seed))
            members.append(Member(run_dir, seeded, run))
        yield Trial(name, {}, members)


def test_trials_are_ranked_by_the_interquartile_mean_of_the_last_evaluations(tmp_path):
    found = list(
        plant(
            tmp_path,
            {
                "lucky": [[(1024, x)] for x in (0.0, 1.0, 3.0, 500.0)],  # (1 + 3) / 2
                "steady": [[(512, 0.0), (1024, x)] for x in (9.0, 11.0, 10.0, 10.0)],
                "faded": [[(512, 99.0), (1024, 5.0)]] * 4,
                "zero": [[(1024, 0.0)]] * 4,
            },
        )
    )
    assert [(s.setting, s.iqm) for s in rank_trials(found)] == [
        ("steady", 10.0),
        ("faded", 5.0),
        ("lucky", 2.0),
        ("zero", 0.0),
    ]
    assert [s.setting for s in rank_trials(found, 512)][:2] == ["faded", "steady"]
    best = rank_trials(found)[0]
    assert (best.worst, best.worst_seed, best.step, best.n_seeds) == (9.0, 0, 1024, 4)
    assert rank_trials(found, 500)[0].step == 512  # the update with which 500 env steps are reached


def test_a_seed_that_diverged_counts_as_the_lowest_from_then_on(tmp_path):
    seeds = [[(512, 50.0), (1024, 60.0)], [(512, 40.0)]]
    first, second = plant(tmp_path, {"a": seeds, "b": [[(512, 1.0), (1024, 2.0)]] * 2})
    mark_diverged(first.members[1].run_dir, Divergence(768, "actor_loss became nan"))
    assert last_return(first.members[1].run_dir, 767) == 40.0
    assert last_return(first.members[1].run_dir) == -inf
    assert [s.setting for s in rank_trials([first, second], 512)] == ["a", "b"]
    lowest = rank_trials([first, second])[1]
    assert (lowest.setting, lowest.iqm, lowest.diverged) == ("a", -inf, 1)
