"""Health: each rule at, below and above its threshold, once, and after a resumption."""

import json
import logging
import math
from dataclasses import replace

import jax.numpy as jnp
import pytest

from small_run import CONFIG, PRESET
from vibe_rl.errors import NonFiniteLossError
from vibe_rl.experiment import resume, train
from vibe_rl.run_dir import RunDir, find_runs
from vibe_rl.run_dir.group import members
from vibe_rl.run_dir.notes import HEALTH, health_of
from vibe_rl.runner import RunnerConfig
from vibe_rl.runner.health import Health, HealthTracker, largest_entropy
from vibe_rl.spaces import Box, Discrete, MultiBinary, MultiDiscrete

TOTAL = 300_000
LIMITS = RunnerConfig(total_timesteps=TOTAL)
MOST = math.log(4)


def monitor(**limits):
    return Health(replace(LIMITS, **limits), MOST)


def names(health, rows):
    """The rules that speak, in order."""
    return [note.rule for row in rows for note in health(row)]


def rows_of(n=1, begin=0, **metrics):
    return [{"step": 1000 * (begin + i + 1), "update": i, **metrics} for i in range(n)]


ROWS = [
    ("entropy", "health_entropy", {"entropy": 0.3 * MOST - 1e-6}, {"entropy": 0.3 * MOST}),
    ("kl", "health_kl", {"approx_kl": 0.0601}, {"approx_kl": 0.06}),
    ("clip", "health_clip", {"clip_fraction": 0.301}, {"clip_fraction": 0.3}),
]


@pytest.mark.parametrize(("rule", "field", "bad", "good"), ROWS)
def test_a_row_beyond_a_threshold_is_named_and_one_at_it_is_not(rule, field, bad, good):
    assert names(monitor(), rows_of(**good)) == []
    assert names(monitor(), rows_of(**bad)) == [rule]


@pytest.mark.parametrize(("rule", "field", "bad", "good"), ROWS)
def test_each_is_named_once_and_not_at_all_where_its_field_is_none(rule, field, bad, good):
    assert names(monitor(), rows_of(3, **bad)) == [rule]
    assert names(monitor(**{field: None}), rows_of(3, **bad)) == []


@pytest.mark.parametrize("name", ["entropy", "approx_kl", "clip_fraction", "explained_variance"])
def test_what_is_not_finite_or_not_there_says_nothing(name):
    for value in (math.nan, math.inf, None, "text"):
        assert names(monitor(), rows_of(50, **{name: value})) == []


def test_where_actions_are_masked_entropy_is_compared_with_the_largest_so_far():
    rows = rows_of(entropy=1.0) + rows_of(begin=1, entropy=0.3) + rows_of(begin=2, entropy=0.29)
    assert names(Health(LIMITS, masked=True), rows[:2]) == []
    assert names(Health(LIMITS, masked=True), rows) == ["entropy"]
    assert names(Health(LIMITS, None), rows) == []


def test_continuous_policies_have_no_largest_entropy_and_are_not_judged_by_theirs():
    assert largest_entropy(Box(-1.0, 1.0, (2,))) is None
    assert names(Health(LIMITS, None), rows_of(entropy=-5.0)) == []


def test_the_largest_entropy_is_that_of_independent_uniform_choices():
    assert largest_entropy(Discrete(28)) == pytest.approx(math.log(28))
    assert largest_entropy(MultiDiscrete((2, 3), jnp.int32)) == pytest.approx(math.log(6))
    assert largest_entropy(MultiBinary(3)) == pytest.approx(math.log(8))


def test_values_that_explain_nothing_are_named_after_twenty_rows_past_the_first_twenty():
    bad = rows_of(40, explained_variance=-0.01)
    assert names(monitor(), bad[:39]) == []
    assert names(monitor(), bad) == ["value"]
    assert names(monitor(health_value=None), bad) == []


def test_one_row_whose_values_explain_something_begins_the_count_anew():
    bad = rows_of(58, explained_variance=-0.01)
    bad[38]["explained_variance"] = 0.0
    assert names(monitor(), bad) == []
    assert names(monitor(), [*bad, *rows_of(1, explained_variance=-0.01)]) == ["value"]


@pytest.mark.parametrize(
    ("paid", "at", "above"), [(10.0, 20.0, 20.1), (-60.0, 0.0, 0.1), (0.5, 1.0, 1.01)]
)
def test_values_beyond_twice_what_is_paid_are_named_at_the_third_evaluation(paid, at, above):
    def evaluations(value, n):
        return rows_of(n, q_start=value, return_start=paid)

    assert names(monitor(), evaluations(at, 5)) == []
    assert names(monitor(), evaluations(above, 2)) == []
    assert names(monitor(), evaluations(above, 3)) == ["q"]
    interrupted = [*evaluations(above, 2), *evaluations(at, 1), *evaluations(above, 2)]
    assert names(monitor(), interrupted) == []
    assert names(monitor(health_q=None), evaluations(above, 5)) == []


def test_rows_between_evaluations_do_not_interrupt_them():
    rows = [
        row
        for i in range(3)
        for row in (*rows_of(1, q_start=9.0, return_start=1.0), *rows_of(4, entropy=1.0))
    ]
    assert names(monitor(), rows) == ["q"]


def returning(returns):
    """A row for each hundredth of the run."""
    return [
        {"step": TOTAL * (i + 1) // 100, "update": i, "episode_return_mean": x}
        for i, x in enumerate(returns)
    ]


def test_a_return_that_never_rises_is_named_after_a_third_of_the_run():
    health = monitor()
    notes = [note for row in returning([-200.0] * 100) for note in health(row)]
    assert [note.rule for note in notes] == ["stall"]
    assert 0.33 * TOTAL <= notes[0].step <= 0.42 * TOTAL


def test_noise_does_not_hide_that_a_return_does_not_rise():
    noise = [20.0 + (7 * i % 11 - 5) for i in range(100)]
    assert names(monitor(), returning(noise)) == ["stall"]


def test_a_return_that_rose_and_then_stays_is_not_stalled():
    assert names(monitor(), returning([20.0] * 5 + [500.0] * 95)) == []


@pytest.mark.parametrize(("rise", "expected"), [(0.09, ["stall"]), (0.11, [])])
def test_a_rise_by_a_tenth_counts_as_one(rise, expected):
    assert names(monitor(), returning([-100.0] * 3 + [-100.0 * (1 - rise)] * 97)) == expected


def test_a_return_that_falls_back_to_where_it_began_is_named():
    assert names(monitor(), returning([20.0] * 4 + [300.0] * 30 + [20.0] * 66)) == ["stall"]


def test_a_run_shorter_than_the_share_says_nothing():
    assert names(monitor(), returning([-200.0] * 33)) == []
    assert names(monitor(health_stall=None), returning([-200.0] * 100)) == []


def test_what_is_remembered_comes_back_from_the_same_rows():
    bad = rows_of(60, explained_variance=-0.01, approx_kl=0.07)
    whole, resumed = monitor(), monitor()
    before = [note for row in bad[:30] for note in whole(row)]
    for row in json.loads(json.dumps(bad[:30])):
        resumed(row)
    assert [note.rule for note in before] == ["kl"]
    assert names(resumed, bad[30:]) == names(whole, bad[30:]) == ["value"]


def test_a_policy_that_has_found_what_is_best_need_not_explore_nor_explain():
    late = {"entropy": 0.01, "explained_variance": -5.0}
    rising = rows_of(1, episode_return_mean=20.0) + rows_of(60, episode_return_mean=500.0, **late)
    assert names(monitor(), rising) == []
    fallen = rows_of(1, episode_return_mean=20.0) + rows_of(1, episode_return_mean=500.0)
    fallen += rows_of(60, episode_return_mean=403.0, **late)
    assert names(monitor(), fallen) == ["entropy", "value"]
    never = rows_of(1, episode_return_mean=20.0) + rows_of(60, episode_return_mean=21.9, **late)
    assert names(monitor(), never) == ["entropy", "value"]


def test_rows_of_single_episodes_are_not_counted(tmp_path):
    health = monitor()
    HealthTracker(health).log({"step": 4, "episode_return": -1.0, "explained_variance": -1.0}, 4)
    assert health.n_values == 0


def unhealthy(**limits):
    """A run whose every row is beyond some threshold."""
    return replace(CONFIG, runner=replace(CONFIG.runner, health_kl=0.0, **limits))


def said(caplog):
    return [r.getMessage() for r in caplog.records if "health at env step" in r.getMessage()]


def test_a_run_says_a_line_once_and_keeps_it_and_its_continuation_does_not_repeat_it(
    tmp_path, caplog
):
    run_dir, _ = train(unhealthy(total_timesteps=512), tmp_path)
    (note,) = health_of(run_dir)
    assert (note.rule, note.step) == ("kl", 128)
    assert len(said(caplog)) == 1
    assert "try a smaller lr" in said(caplog)[0]
    resume(run_dir, unhealthy())
    assert health_of(run_dir) == [note]
    assert len(said(caplog)) == 1


def test_a_line_about_rows_that_come_again_comes_again(tmp_path, caplog):
    run_dir, _ = train(unhealthy(total_timesteps=512), tmp_path)
    log = run_dir.log_path(HEALTH)
    log.write_text(log.read_text().replace('"step": 128', '"step": 9999'))
    resume(run_dir, unhealthy())
    assert health_of(run_dir) == []
    assert list(run_dir.logs.glob("health_set_aside_1.jsonl"))


def test_members_of_a_group_say_which_they_are(tmp_path, caplog):
    group, _ = train(unhealthy(total_timesteps=256), tmp_path, seeds=[3, 4])
    assert [line.partition(":")[0] for line in said(caplog)] == ["seed_3", "seed_4"]
    assert [[note.rule for note in health_of(run)] for run in members(group)] == [["kl"], ["kl"]]


def test_a_run_that_diverges_is_noted_and_its_continuation_begins_a_clean_list(tmp_path):
    def diverge(step, agent_state, row):
        raise NonFiniteLossError("actor_loss became nan: try a smaller learning rate.")

    with pytest.raises(NonFiniteLossError):
        train(CONFIG, tmp_path, callback=diverge)
    (run_dir,) = find_runs(tmp_path)
    (note,) = health_of(run_dir)
    assert (note.rule, note.step) == ("non_finite", 129)
    assert note.text == "actor_loss became nan: try a smaller learning rate"
    resume(run_dir, CONFIG)
    assert health_of(run_dir) == []


@pytest.mark.slow
def test_a_healthy_run_of_cartpole_is_silent(tmp_path, caplog):
    quiet = replace(PRESET.runner, progress_bar=False, plot=False)
    with caplog.at_level(logging.WARNING):
        run_dir, result = train(replace(PRESET, runner=quiet), tmp_path)
    assert result.evaluation.mean_return > 400
    assert health_of(RunDir.open(run_dir)) == []
    assert said(caplog) == []
