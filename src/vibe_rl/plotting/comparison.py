"""Methods side by side: performance profiles and interquartile means (Agarwal et al. 2021,
arXiv:2108.13264).
"""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from vibe_rl.analysis.aggregate import Aggregate, Profile, Strata, aggregate_strata, profile
from vibe_rl.errors import ConfigError
from vibe_rl.plotting.canvas import compact, legend_below, styled_figure
from vibe_rl.plotting.config import PlotConfig
from vibe_rl.plotting.curves import shorten
from vibe_rl.plotting.palette import color_for

if TYPE_CHECKING:
    import matplotlib.figure

_N_THRESHOLDS = 201


def plot_comparison(
    scores: Mapping[str, Strata],
    score_name: str = "eval_return",
    *,
    title: str = "",
    save_path: str | os.PathLike[str] | None = None,
) -> "matplotlib.figure.Figure":
    """Draw performance profiles with pointwise bands, beside IQMs with their intervals.

    Args:
        scores: Of each method, by its name: for each environment an array with a score per seed.
        score_name: What the scores are.
        title: Above the profiles.
        save_path: Where to write it too; folders are made.

    Returns:
        A figure that belongs to no window and no pyplot state.

    Raises:
        ConfigError: There are no scores, or matplotlib is not installed.
    """
    if not scores:
        raise ConfigError("scores are empty: give those of one method or more.")
    thresholds = _thresholds(scores)
    with styled_figure(PlotConfig(), save_path, figsize=(11, 4.5)) as figure:
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        for i, (name, strata) in enumerate(scores.items()):
            _draw_profile(left, thresholds, profile(strata, thresholds), shorten(name), i)
            _draw_interval(right, aggregate_strata(strata), i)
        _annotate(figure, score_name.replace("_", " "), title)
    return figure


def _thresholds(scores: Mapping[str, Strata]) -> np.ndarray:
    """From below all scores, where every profile is 1, to above all, where it is 0."""
    together = np.concatenate([x for strata in scores.values() for x in strata])
    together = together[np.isfinite(together)]
    if not together.size:
        raise ConfigError("all seeds diverged: there is nothing to draw.")
    margin = 0.03 * np.ptp(together) or 0.03 * max(1.0, abs(together[0]))
    return np.linspace(together.min() - margin, together.max() + margin, _N_THRESHOLDS)


def _draw_profile(axes: Any, thresholds: np.ndarray, found: Profile, name: str, i: int) -> None:
    axes.step(thresholds, found.fraction, where="post", color=color_for(i), label=name)
    look = {"color": color_for(i), "alpha": 0.18, "linewidth": 0}
    axes.fill_between(thresholds, found.low, found.high, step="post", **look)


def _draw_interval(axes: Any, found: Aggregate, i: int) -> None:
    look = {"color": color_for(i), "alpha": 0.35, "linewidth": 9, "solid_capstyle": "butt"}
    if np.isfinite(found.low):
        axes.plot([found.low, found.high], [i, i], **look)
    if np.isfinite(found.iqm):
        axes.plot([found.iqm], [i], "o", color=color_for(i))


def _annotate(figure: Any, score_name: str, title: str) -> None:
    left, right = figure.axes
    left.set_title(title)
    left.set_xlabel(f"{score_name.capitalize()} τ")
    left.set_ylabel("Fraction of seeds above τ")
    right.set_xlabel(f"IQM of {score_name}, 95 % interval")
    right.set_ylim(len(left.lines) - 0.5, -0.5)  # in the order of the legend, from above
    right.set_yticks([])
    right.margins(x=0.1)
    for axes in (left, right):
        axes.xaxis.set_major_formatter(lambda value, _: compact(value, least=1e4))
    legend_below(figure, left, letters=130)
