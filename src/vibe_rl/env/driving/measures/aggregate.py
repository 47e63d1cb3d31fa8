"""What an episode adds up to, kept while it runs: sums, largest and smallest numbers."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vibe_rl.env.driving.measures import scores
from vibe_rl.env.driving.measures.metrics import Metrics
from vibe_rl.env.driving.scenarios.scenario import DT

SUMS = (
    *("log_divergence", "sdc_off_route", "sdc_wrongway", "ttc", "overspeed"),
    *("multiple_lanes", "wrong_direction", "soft_comfort"),
)
LARGEST = (
    *("overlap", "offroad", "run_red_light", "at_fault_collision", "speed"),
    "progress_ratio_nuplan",
)
SMALLEST = ("comfort", "ttc")
"""The metrics of steps that are kept so."""
WINDOW = 10
"""Steps of a second."""
TTC_BOUND = np.float32(0.95)
"""Seconds; less is unsafe."""
LEAST_PROGRESS, HALF = np.float32(0.2), np.float32(0.5)
"""Of the logged drive's: what counts as any, and what success needs."""
TO_KMH = np.float32(3.6)


class Totals(NamedTuple):
    """Of the steps of an episode so far."""

    steps: Array  # int32
    sums: Array  # float32, in the order of `SUMS`
    largest: Array  # float32, in the order of `LARGEST`
    smallest: Array  # float32, in the order of `SMALLEST`
    time_astride: Array  # s
    wrong: Array  # float32 [10], metres in the wrong direction, the newest first
    worst_wrong: Array  # m, the most in any second


def none_yet() -> Totals:
    """Those of an episode that begins."""
    zero = jnp.zeros((), jnp.float32)
    return Totals(
        jnp.int32(0),
        jnp.zeros(len(SUMS), jnp.float32),
        jnp.zeros(len(LARGEST), jnp.float32),
        jnp.full(len(SMALLEST), jnp.inf, jnp.float32),
        zero,
        jnp.zeros(WINDOW, jnp.float32),
        zero,
    )


def _stacked(metrics: Metrics, names: tuple[str, ...]) -> Float[Array, " n"]:
    return jnp.stack([getattr(metrics, name) for name in names])


def added(totals: Totals, metrics: Metrics) -> Totals:
    """With one more step."""
    wrong = jnp.concatenate([metrics.wrong_direction[None], totals.wrong[:-1]])
    return Totals(
        steps=totals.steps + 1,
        sums=totals.sums + _stacked(metrics, SUMS),
        largest=jnp.maximum(totals.largest, _stacked(metrics, LARGEST)),
        smallest=jnp.minimum(totals.smallest, _stacked(metrics, SMALLEST)),
        time_astride=totals.time_astride + DT * (metrics.multiple_lanes > 0).astype(jnp.float32),
        wrong=wrong,
        worst_wrong=jnp.maximum(totals.worst_wrong, wrong.sum()),
    )


def _named(totals: Totals) -> tuple[dict[str, Array], dict[str, Array], dict[str, Array]]:
    """Sums, largest and smallest values by their names."""
    names = SUMS, LARGEST, SMALLEST
    rows = totals.sums, totals.largest, totals.smallest
    sums, most, least = (dict(zip(*pair, strict=True)) for pair in zip(names, rows, strict=True))
    return sums, most, least


def drive_of(totals: Totals, wrong: Array) -> scores.Drive:
    """What scores are made of; `wrong` is how far one drove the wrong way, m."""
    sums, most, least = _named(totals)
    seconds = totals.steps.astype(jnp.float32) * np.float32(DT)
    return scores.Drive(
        at_fault=most["at_fault_collision"],
        offroad=most["offroad"],
        red_light=most["run_red_light"],
        making_progress=jnp.float32(most["progress_ratio_nuplan"] >= LEAST_PROGRESS),
        direction=scores.direction_score(wrong),
        ttc=jnp.float32(least["ttc"] >= TTC_BOUND),
        progress=most["progress_ratio_nuplan"],
        speed=scores.speed_compliance(sums["overspeed"], seconds),
        lanes=scores.lanes_score(totals.time_astride),
        comfort=least["comfort"],
    )


def episode_metrics(totals: Totals, last: Metrics, preset: str) -> dict[str, Array]:
    """Of the episode so far, under the names of V-Max where it has them; float32.

    Args:
        totals: of all its steps.
        last: of the latest step.
        preset: "vmax" or "nuplan", which count the wrong direction differently.
    """
    steps = totals.steps.astype(jnp.float32)
    sums, most, least = _named(totals)
    means = {name: sums[name] / steps for name in SUMS[:3]}
    wrong = sums["wrong_direction"] if preset == "vmax" else totals.worst_wrong
    drive = drive_of(totals, wrong)
    unharmed = (1 - most["overlap"]) * (1 - most["offroad"]) * (1 - most["run_red_light"])
    return {
        **means,
        **{name: most[name] for name in LARGEST[:4]},
        "success": unharmed * (last.sdc_progression >= HALF),
        "sdc_progression": last.sdc_progression,
        "comfort": least["comfort"],
        "soft_comfort": sums["soft_comfort"] / steps,
        "min_ttc": least["ttc"],
        "average_ttc": sums["ttc"] / steps,
        "ttc_within_bound": drive.ttc,
        "progress_ratio": drive.progress,
        "making_progress": drive.making_progress,
        "max_speed": most["speed"],
        "max_speed_kmh": most["speed"] * TO_KMH,
        "nuplan_speed_compliance": drive.speed,
        "multiple_lanes_distance": sums["multiple_lanes"],
        "multiple_lanes_time": totals.time_astride,
        "multiple_lanes_score": drive.lanes,
        "wrong_direction_distance": wrong,
        "driving_direction_compliance": drive.direction,
        "nuplan_aggregate_score": scores.nuplan_score(drive),
        "vmax_aggregate_score": scores.vmax_score(drive),
    }
