"""Progress on the console: a line for each row of metrics, under V-Max's names."""

from collections.abc import Callable, Mapping
from typing import Any

from tqdm import tqdm
from typing_extensions import override

from vibe_rl.tracking.base import Tracker, is_finite
from vibe_rl.tracking.log_lines import metric_text

FIGURES = ("ep_rew_mean", "ep_len_mean", "success", "accuracy", "sdc_progression")
SCORES = ("vmax_aggregate_score", "nuplan_aggregate_score")
SHOWN = (
    *(f"rollout/{name}" for name in FIGURES[:2]),
    *(f"metrics/{name}" for name in FIGURES[2:]),
    *(f"evaluation/{name}" for name in (*FIGURES, *SCORES)),
    *("train/policy_loss", "train/value_loss", "train/imitation_loss"),
)
"""What is on a line, where a row has it; trackers get everything."""


class IterationLines(Tracker):
    """A line a row: iteration, env steps, speed, then what was met, learned and evaluated.

    Args:
        iteration_steps: env steps of an iteration.
        tell: prints a line, above a bar of progress if there is one.
    """

    def __init__(self, iteration_steps: int, tell: Callable[[str], Any] = tqdm.write):
        self._iteration_steps, self._tell = iteration_steps, tell

    @override
    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        if "train/env_steps" not in metrics:
            return  # of a single episode
        parts = [f"iteration {step / self._iteration_steps:.4g}", f"{step:,} env steps"]
        if is_finite(metrics.get("runtime/sps")):
            parts.append(f"{metrics['runtime/sps']:,.0f} steps/s")
        told = (name for name in SHOWN if is_finite(metrics.get(name)))
        self._tell(" | ".join([*parts, *(f"{name} {metric_text(metrics[name])}" for name in told)]))
