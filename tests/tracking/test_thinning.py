"""Trackers that take long over a row get fewer: which of them pass."""

import pytest

from vibe_rl.tracking.base import Tracker
from vibe_rl.tracking.thinning import AT_ONCE, Thinned


class Kept(Tracker):
    def __init__(self):
        self.steps, self.others = [], []

    def log(self, metrics, step):
        self.steps.append(step)

    def log_file(self, path):
        self.others.append(path)

    def close(self, status="finished"):
        self.others.append(status)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def made():
    kept, clock = Kept(), Clock()
    return Thinned(kept, clock), kept, clock


def test_a_short_run_has_all_its_rows_however_fast(made):
    thinned, kept, _ = made
    for step in range(int(AT_ONCE)):
        thinned.log({"loss": 1.0}, step)
    assert kept.steps == list(range(int(AT_ONCE)))


def test_after_the_first_rows_ten_a_second_pass_evaluations_and_the_last(made):
    thinned, kept, clock = made
    for step in range(1000):  # 100 a second
        thinned.log({"eval_return": 1.0} if step == 555 else {"loss": 1.0}, step)
        clock.now += 0.01
    assert kept.steps[:100] == list(range(100))
    assert 555 in kept.steps
    assert 190 <= len(kept.steps) <= 202
    gaps = [b - a for a, b in zip(kept.steps[110:], kept.steps[111:], strict=False)]
    assert max(gaps) <= 20
    thinned.close("interrupted")
    assert kept.steps[-1] == 999
    assert kept.others == ["interrupted"]


def test_a_row_that_passed_is_not_sent_again_at_the_end(made):
    thinned, kept, _ = made
    thinned.log({"loss": 1.0}, 1)
    thinned.close()
    assert kept.steps == [1]


def test_slow_rows_all_pass_and_files_always_do(made):
    thinned, kept, clock = made
    for step in range(300):
        thinned.log({"loss": 1.0}, step)
        clock.now += 0.11
    thinned.log_file("a.png")
    assert kept.steps == list(range(300))
    assert kept.others == ["a.png"]
