"""The reward: named terms times weights, which are fields of `DrivingParams`.

Those of V-Max (2025) under its names, and `progress`, which is measured against how fast one would
drive there.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vibe_rl.env.driving.measures.metrics import Metrics
from vibe_rl.env.driving.scenarios.scenario import DT
from vibe_rl.types import f32

TERMS = (
    *("overlap", "offroad", "red_light", "off_route", "progression", "progress", "below_ttc"),
    *("overspeed", "driving_direction", "lane_deviation", "log_div_clip", "log_div", "comfort"),
)
"""All there are."""
_SAFETY = {"overlap": -1.0, "offroad": -1.0, "red_light": -1.0}
_NAVIGATION = {**_SAFETY, "off_route": -0.6, "progression": 0.2}
PRESETS: dict[str, dict[str, float]] = {
    "safety": _SAFETY,
    "navigation": _NAVIGATION,
    "behavior": {**_NAVIGATION, "comfort": 0.2, "overspeed": -0.1},
    "progress": {
        **dict.fromkeys(_SAFETY, -5.0),
        "off_route": -0.6,
        "progress": 0.2,
    },
}
"""Weights by name; those of terms that are not there are 0."""


def weights(preset: str) -> dict[str, Any]:
    """The weight of every term in a preset, as fields of `DrivingParams`."""
    return {name: f32(PRESETS[preset].get(name, 0.0)) for name in TERMS}


def terms(metrics: Metrics, params: Any) -> dict[str, Array]:
    """Every term, without its weight: flags but `progress`, `log_div` (m) and `comfort`.

    Args:
        metrics: of the step.
        params: thresholds, see `DrivingParams`.
    """
    pace = metrics.advance / (np.float32(DT) * metrics.pace)
    found = {
        "overlap": metrics.overlap,
        "offroad": metrics.offroad,
        "red_light": metrics.run_red_light,
        "off_route": metrics.sdc_off_route > 0,
        "progression": metrics.advance > 0,
        "progress": jnp.clip(pace, 0, 1),
        "below_ttc": metrics.ttc < params.ttc_bound,
        "overspeed": metrics.overspeed > params.overspeed_margin,
        "driving_direction": metrics.wrong_direction > 0,
        "lane_deviation": metrics.multiple_lanes > 0,
        "log_div_clip": metrics.log_divergence < params.log_div_bound,
        "log_div": metrics.log_divergence,
        "comfort": metrics.soft_comfort,
    }
    return {name: jnp.asarray(found[name], jnp.float32) for name in TERMS}


def weighted_terms(metrics: Metrics, params: Any) -> dict[str, Array]:
    """Every term times its weight; the reward is their sum."""
    return {name: getattr(params, name) * term for name, term in terms(metrics, params).items()}
