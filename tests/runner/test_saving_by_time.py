"""Checkpoints by wall time, on a clock that stands still unless it is told to go."""

from dataclasses import replace

import numpy as np
import pytest

from small_run import CONFIG
from vibe_rl.checkpoint import saved_steps
from vibe_rl.configs.scaling import sizes_of
from vibe_rl.experiment.build import build
from vibe_rl.runner.fit import fit
from vibe_rl.runner.saving import Saver


def run_with(**changes):
    runner = {"eval_episodes": 0, "checkpoint_interval": 0, "max_checkpoints": 20} | changes
    return build(replace(CONFIG, runner=replace(CONFIG.runner, **runner)))


def steps_saved(run, directory, minutes_an_update):
    """The steps at which a run saves where each update takes so many minutes."""
    now = [0.0]
    saver = Saver(run, directory, clock=lambda: now[0])

    def callback(step, agent_state, row):
        now[0] = 60.0 * minutes_an_update * step / sizes_of(CONFIG).batch

    result = fit(run, callback=callback, saver=saver)
    saver.close()
    return saved_steps(directory), result


def test_a_run_saves_when_so_many_minutes_have_passed_since_the_last_time(tmp_path):
    run = run_with(checkpoint_minutes=2.5)
    saved, _ = steps_saved(run, tmp_path, minutes_an_update=1.0)
    assert saved == [3 * 128, 6 * 128, 8 * 128]  # and the end


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"checkpoint_minutes": None}, [1024]),
        ({"checkpoint_minutes": None, "checkpoint_interval": 512}, [512, 1024]),
        ({"checkpoint_minutes": 3.0, "checkpoint_interval": 512}, [384, 512, 896, 1024]),
    ],
)
def test_steps_and_minutes_may_both_ask_and_either_may_be_off(changes, expected, tmp_path):
    run = run_with(**changes, checkpoint_share=1.0)
    assert steps_saved(run, tmp_path, minutes_an_update=1.0)[0] == expected


def test_what_the_clock_says_changes_no_bit(tmp_path):
    fast, slow = (
        steps_saved(run_with(checkpoint_minutes=2.0), tmp_path / name, minutes)
        for name, minutes in (("fast", 0.0), ("slow", 5.0))
    )
    assert len(slow[0]) > len(fast[0])
    for a, b in zip(
        *(each[1].state.agent_state.params.actor.mlp.layers for each in (fast, slow)), strict=True
    ):
        np.testing.assert_array_equal(a.weight, b.weight)
