"""The rules that end a training: the truth table of the specification, and what surrounds it."""

import copy

import pytest

from compiling import as_users_do
from vibe_rl.errors import ConfigError
from vibe_rl.trainers.ppo_trainer.progress.monitors import ConvergenceMonitor, PlateauMonitor

RISING = [float(x) for x in range(10, 20)]
TOUCH = [10.0, 10.0, 10.0, 1.0, 1.0, 1.0, 1.0, 1.0]
DIP = [12.0, 12.0, 12.0, 1.0, *[12.0] * 5]
TABLE = [  # returns, stop of the two modes, converged of the two modes, reached
    ([5.0] * 12, None, None, False, False, False),
    ([12.0] * 8, 5, 4, True, True, True),
    (RISING, None, 4, True, True, True),
    (TOUCH, None, None, True, False, True),
    (DIP, 8, 8, True, True, True),
    ([10.0] * 6, 5, 4, True, True, True),
]


def run(monitor, returns):
    """The statuses, and the number of episodes after which it stopped."""
    statuses = [monitor.update(x) for x in returns]
    stops = [i + 1 for i, status in enumerate(statuses) if status.stop]
    return statuses, stops[0] if stops else None


@pytest.mark.parametrize(
    ("returns", "legacy", "sustained", "converged_once", "converged", "reached"), TABLE
)
def test_the_truth_table_holds(returns, legacy, sustained, converged_once, converged, reached):
    monitor = ConvergenceMonitor(target=10.0, window=3, patience=2)
    statuses, stop = run(monitor, returns)
    assert stop == sustained
    assert monitor.convergence_episode == sustained
    assert any(status.converged for status in statuses) == converged
    assert statuses[-1].reached == reached
    old = ConvergenceMonitor(target=10.0, window=3, patience=2, mode="legacy")
    statuses, stop = run(old, returns)
    assert stop == legacy
    assert statuses[-1].converged == converged_once


@pytest.mark.parametrize("patience", [-1, 0, 1])
def test_a_patience_of_up_to_one_stops_at_the_first_touch(patience):
    monitor = ConvergenceMonitor(target=10.0, window=3, patience=patience)
    assert run(monitor, [9.0, 9.0, 12.0, 12.0])[1] == 3


def test_the_best_mean_is_known_below_the_target_and_none_before_a_whole_window():
    monitor = ConvergenceMonitor(target=10.0, window=3, patience=2)
    for x in (3.0, 6.0):
        assert monitor.update(x).rolling is None
        assert monitor.best is None
    assert monitor.update(0.0).rolling == monitor.best == 3.0
    assert monitor.update(0.0).rolling == 2.0
    assert monitor.best == 3.0
    assert monitor.reached_episode is monitor.convergence_episode is None


def test_a_collapse_after_convergence_is_seen_and_its_first_moment_kept():
    monitor = ConvergenceMonitor(target=10.0, window=2, patience=2)
    statuses, stop = run(monitor, [12.0, 12.0, 12.0, 0.0, 0.0])
    assert stop == monitor.convergence_episode == 3
    assert not statuses[-1].converged
    assert statuses[-1].count == 0
    assert statuses[-1].reached


def test_means_are_taken_in_float64():
    monitor = ConvergenceMonitor(target=0.1, window=10, patience=1)
    assert run(monitor, [0.1] * 10)[1] == 10


def test_the_same_returns_give_the_same_answers_again():
    fresh = ConvergenceMonitor(target=10.0, window=3, patience=2)
    first, again = copy.deepcopy(fresh), copy.deepcopy(fresh)
    assert run(first, DIP) == run(again, DIP)
    assert first == again


@pytest.mark.parametrize("monitor", [ConvergenceMonitor(10.0, 3), PlateauMonitor(window=3)])
def test_a_return_that_is_nan_is_refused_with_its_episode(monitor):
    monitor.update(1.0)
    with pytest.raises(ValueError, match="episode 2 is NaN"):
        monitor.update(float("nan"))


def test_a_plateau_is_a_mean_that_does_not_rise_for_long_enough():
    monitor = PlateauMonitor(min_delta=1.0, patience=3, window=2)
    rising = [0.0, 2.0, 4.0, 6.0]  # means 1, 3, 5
    flat = [4.0, 7.9, 4.0, 6.0]  # means 5, 5.95, 5.95, 5: a rise by less than 1 is none
    statuses, stop = run(monitor, [*rising, *flat])
    assert [status.count for status in statuses] == [0, 0, 0, 0, 1, 2, 3, 4]
    assert stop == monitor.convergence_episode == 7
    assert monitor.best == pytest.approx(5.95)
    assert not any(status.converged for status in statuses)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ConvergenceMonitor(1.0, window=0), "convergence_window 0: give at least 1."),
        (lambda: ConvergenceMonitor(1.0, mode="sustaind"), "did you mean sustained"),
        (lambda: PlateauMonitor(patience=0), "patience 0 of PlateauMonitor: give at least 1."),
        (lambda: ConvergenceMonitor("high"), "target 'high': give a number"),  # type: ignore[arg-type]
        (lambda: ConvergenceMonitor(float("nan")), "target nan of ConvergenceMonitor: give"),
        (lambda: ConvergenceMonitor(1.0, window=2.5), "window 2.5: give a whole number"),  # type: ignore[arg-type]
        (lambda: ConvergenceMonitor(1.0, mode=3), "mode 3: give a name"),  # type: ignore[arg-type]
        (lambda: PlateauMonitor(min_delta=float("nan")), "min_delta nan of PlateauMonitor"),
        (lambda: PlateauMonitor(min_delta=-1.0), "min_delta -1.0 of PlateauMonitor"),
    ],
)
def test_what_cannot_work_is_refused_in_one_sentence(make, message):
    with as_users_do(), pytest.raises(ConfigError, match=message):
        make()
