import json

import numpy as np
import pytest

from vibe_rl.trainers.ppo_trainer.performance import performance_report

SETTINGS = {"target_reward": 10.0, "convergence_window": 3}
RESULTS = {
    "total_episodes": 6,
    "total_steps": 60,
    "training_time": 1.5,
    "final_avg_reward": 13.0,
    "best_avg_reward": 12.0,
    "converged": False,
    "reached_target": True,
    "reached_episode": 4,
    "convergence_episode": None,
    "episode_rewards": [2.0, 8.0, 10.0, 12.0, 14.0, 8.0],
    "episode_lengths": [2, 8, 11, 14, 15, 10],
    "losses": {"policy_loss": [0.5, -0.25, 0.25], "value_loss": [4.0, 1.0, 2.0]},
}
SECTIONS = {
    "basic_stats": [
        *("total_episodes", "total_steps", "training_time"),
        *("final_reward", "best_reward", "mean_reward", "std_reward"),
    ],
    "convergence_analysis": [
        *("window", "target", "last_window_avg", "reached_target", "converged"),
        *("reached_episode", "convergence_episode"),
    ],
    "stability_analysis": ["rolling_mean_final", "rolling_mean_std", "consistency_pct"],
    "loss_analysis": [],
    "performance_benchmarks": [
        *("mean_ge_target", "steps_to_target", "episodes_to_target", "sample_efficiency"),
    ],
}


def report(**changes):
    return performance_report(RESULTS | changes, SETTINGS)


def test_basic_stats_are_those_of_the_results_and_of_all_episodes():
    found = report()["basic_stats"]
    # mean 54 / 6 = 9; squares of 7 1 1 3 5 1 sum to 86
    assert found.pop("std_reward") == pytest.approx((86 / 6) ** 0.5)
    assert found == {
        "total_episodes": 6,
        "total_steps": 60,
        "training_time": 1.5,
        "final_reward": 13.0,
        "best_reward": 12.0,
        "mean_reward": 9.0,
    }


def test_convergence_is_what_the_results_say_and_never_judged_anew():
    found = report()["convergence_analysis"]
    assert found["last_window_avg"] == pytest.approx((12 + 14 + 8) / 3)  # above the target
    assert (found["converged"], found["convergence_episode"]) == (False, None)
    assert (found["reached_target"], found["reached_episode"]) == (True, 4)
    assert (found["window"], found["target"]) == (3, 10.0)
    later = report(converged=True, convergence_episode=5)["convergence_analysis"]
    assert (later["converged"], later["convergence_episode"]) == (True, 5)


def test_a_window_that_was_never_full_has_no_mean():
    found = report(episode_rewards=[10.0, 12.0])
    assert found["convergence_analysis"]["last_window_avg"] is None
    assert found["performance_benchmarks"]["mean_ge_target"] is None


def test_steadiness_is_measured_over_the_last_fifty_episodes():
    # 50 rewards of 4 and then 12 and 20: means 4, 4 + 8/50, 4 + 8/50 + 16/50
    found = report(episode_rewards=[4.0] * 50 + [12.0, 20.0])["stability_analysis"]
    means = [4.0, 4.16, 4.48]
    middle = sum(means) / 3
    spread = (sum((mean - middle) ** 2 for mean in means) / 3) ** 0.5
    assert found["rolling_mean_final"] == pytest.approx(4.48)
    assert found["rolling_mean_std"] == pytest.approx(spread)
    assert found["consistency_pct"] == pytest.approx(4.0)  # 2 of 50


def test_before_fifty_episodes_only_their_share_at_the_target_is_known():
    found = report()["stability_analysis"]
    # 10, 12 and 14 of 6
    assert found == {"rolling_mean_final": None, "rolling_mean_std": None, "consistency_pct": 50.0}


def test_a_loss_is_told_by_its_last_least_and_largest_finite_value():
    assert report()["loss_analysis"] == {
        "policy_loss": {"final": 0.25, "min": -0.25, "max": 0.5},
        "value_loss": {"final": 2.0, "min": 1.0, "max": 4.0},
    }
    losses = {"a": [1.0, float("nan"), None], "b": [], "c": [float("inf")]}
    assert report(losses=losses)["loss_analysis"] == {
        "a": {"final": 1.0, "min": 1.0, "max": 1.0},
        "b": {"final": None, "min": None, "max": None},
        "c": {"final": None, "min": None, "max": None},
    }


def test_the_cost_of_the_target_is_counted_to_the_end_of_the_episode_that_reached_it():
    assert report()["performance_benchmarks"] == {
        "mean_ge_target": True,  # 34 / 3
        "steps_to_target": 35,  # 2 + 8 + 11 + 14
        "episodes_to_target": 4,
        "sample_efficiency": 10 / 35,
    }


@pytest.mark.parametrize(("last", "reaches"), [(9.0, False), (10.0, True), (11.0, True)])
def test_a_mean_at_the_target_reaches_it(last, reaches):
    found = report(episode_rewards=[50.0, 10.0, 10.0, last])  # three of which count
    assert found["performance_benchmarks"]["mean_ge_target"] is reaches


def test_a_target_that_was_not_reached_has_no_cost():
    found = report(reached_episode=None, reached_target=False)["performance_benchmarks"]
    assert found["steps_to_target"] is None
    assert found["episodes_to_target"] is None
    assert found["sample_efficiency"] is None


@pytest.mark.parametrize("n", [0, 1, 9, 150])
def test_every_length_has_the_same_sections_and_keys_that_json_can_hold(n):
    found = report(
        total_episodes=np.int64(n),
        final_avg_reward=np.float32(3) if n else float("nan"),
        best_avg_reward=-float("inf"),
        converged=np.bool_(False),
        episode_rewards=list(np.arange(n, dtype=np.float32)),
        episode_lengths=np.arange(n),
        reached_episode=None,
        losses={},
    )
    assert {name: list(section) for name, section in found.items()} == SECTIONS
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["basic_stats"]["best_reward"] is None
    assert found["basic_stats"]["mean_reward"] == ((n - 1) / 2 if n else None)


@pytest.mark.parametrize("rewards", [[float("nan")] * 60, [1.0] * 59 + [float("nan")]])
def test_a_missing_reward_is_never_a_number(rewards):
    found = report(episode_rewards=rewards)
    assert found["stability_analysis"]["rolling_mean_final"] is None
    assert found["convergence_analysis"]["last_window_avg"] is None
    json.dumps(found, allow_nan=False)


def test_nothing_is_known_of_nothing():
    found = performance_report({}, {})
    values = [value for section in found.values() for value in section.values()]
    assert values
    assert all(value is None for value in values)
