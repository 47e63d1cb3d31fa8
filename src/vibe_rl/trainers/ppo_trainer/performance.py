"""A training's results as a report: what it reached, when, how steadily and at what cost."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from vibe_rl.plotting.smooth import windows

STABILITY_WINDOW = 50
"""Episodes over which steadiness is measured."""

Report = dict[str, dict[str, Any]]


def performance_report(results: Mapping[str, Any], settings: Mapping[str, Any]) -> Report:
    """What `results` amount to, as values that JSON can hold; None is what is not known.

    Whether and when the target was reached or the training converged is copied from `results`,
    never judged anew. Rewards are sums over an episode, spreads population standard deviations.

    * `basic_stats`: `final_reward` and `best_reward` are the `final_avg_reward` and
      `best_avg_reward` of the results, `mean_reward` and `std_reward` those of all episodes.
    * `convergence_analysis`: `window` is in episodes; `last_window_avg` is None until it is full.
    * `stability_analysis`: of the means over `STABILITY_WINDOW` episodes the last and the spread,
      None before there is one; and the percentage of the last so many episodes that reached the
      target.
    * `loss_analysis`: of each loss its last, least and largest finite value.
    * `performance_benchmarks`: whether the last window's mean is at least the target, the episodes
      and env steps until it first was, and the target over these steps.

    Args:
        results: of a training, complete or not.
        settings: `target_reward` and `convergence_window`, in episodes.
    """
    return {
        "basic_stats": _basic_stats(results),
        "convergence_analysis": _convergence_analysis(results, settings),
        "stability_analysis": _stability_analysis(results, settings),
        "loss_analysis": loss_analysis(results),
        "performance_benchmarks": _performance_benchmarks(results, settings),
    }


def loss_analysis(results: Mapping[str, Any]) -> dict[str, dict[str, float | None]]:
    """Of each loss its last, least and largest finite value; None where it has none."""
    return {name: _ends(series(losses)) for name, losses in results.get("losses", {}).items()}


def series(values: Sequence[Any] | np.ndarray | None) -> Float[np.ndarray, " n"]:
    """The values as float64, with NaN for None and for what is infinite."""
    given = () if values is None else values
    numbers = np.array([math.nan if x is None else x for x in given], dtype=np.float64)
    return np.where(np.isfinite(numbers), numbers, math.nan)


def known(value: Any) -> Any:
    """A number as JSON holds it; None for what is missing, NaN or infinite."""
    value = value.item() if hasattr(value, "item") else value
    return value if value is not None and math.isfinite(value) else None


def _basic_stats(results: Mapping[str, Any]) -> dict[str, Any]:
    rewards = _finite(results.get("episode_rewards"))
    return {
        "total_episodes": known(results.get("total_episodes")),
        "total_steps": known(results.get("total_steps")),
        "training_time": known(results.get("training_time")),  # s
        "final_reward": known(results.get("final_avg_reward")),
        "best_reward": known(results.get("best_avg_reward")),
        "mean_reward": float(rewards.mean()) if len(rewards) else None,
        "std_reward": float(rewards.std()) if len(rewards) else None,
    }


def _convergence_analysis(
    results: Mapping[str, Any], settings: Mapping[str, Any]
) -> dict[str, Any]:
    copied = ("reached_target", "converged", "reached_episode", "convergence_episode")
    return {
        "window": known(settings.get("convergence_window")),
        "target": known(settings.get("target_reward")),
        "last_window_avg": _last_window_avg(results, settings),
        **{name: known(results.get(name)) for name in copied},
    }


def _stability_analysis(results: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    rewards = series(results.get("episode_rewards"))
    means = windows(rewards, STABILITY_WINDOW).mean(axis=-1)
    finite = means[np.isfinite(means)]
    last, target = rewards[-STABILITY_WINDOW:], known(settings.get("target_reward"))
    is_known = target is not None and len(last) > 0
    return {
        "rolling_mean_final": known(means[-1]) if len(means) else None,
        "rolling_mean_std": float(finite.std()) if len(finite) else None,
        "consistency_pct": float(100 * np.mean(last >= target)) if is_known else None,
    }


def _performance_benchmarks(
    results: Mapping[str, Any], settings: Mapping[str, Any]
) -> dict[str, Any]:
    target, mean = known(settings.get("target_reward")), _last_window_avg(results, settings)
    episodes = known(results.get("reached_episode"))
    steps = _steps_until(episodes, results)
    return {
        "mean_ge_target": None if target is None or mean is None else mean >= target,
        "steps_to_target": steps,
        "episodes_to_target": episodes,
        "sample_efficiency": target / steps if target is not None and steps else None,
    }


def _steps_until(episode: int | None, results: Mapping[str, Any]) -> int | None:
    """Env steps from the first episode to the end of this one, which is counted from 1."""
    lengths = series(results.get("episode_lengths"))
    if episode is None or episode > len(lengths):
        return None
    steps = known(lengths[:episode].sum())
    return None if steps is None else int(steps)


def _last_window_avg(results: Mapping[str, Any], settings: Mapping[str, Any]) -> float | None:
    window = settings.get("convergence_window")
    if window is None:
        return None
    last = windows(series(results.get("episode_rewards")), window)[-1:]
    return known(last.mean()) if len(last) else None


def _finite(values: Sequence[Any] | None) -> Float[np.ndarray, " n"]:
    numbers = series(values)
    return numbers[np.isfinite(numbers)]


def _ends(losses: Float[np.ndarray, " n"]) -> dict[str, float | None]:
    losses = losses[np.isfinite(losses)]
    if not len(losses):
        return {"final": None, "min": None, "max": None}
    ends = {"final": losses[-1], "min": losses.min(), "max": losses.max()}
    return {name: float(value) for name, value in ends.items()}
