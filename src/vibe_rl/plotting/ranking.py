"""Settings in ranked order, each with the interval of its score."""

import os
from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

from vibe_rl.errors import ConfigError
from vibe_rl.plotting.canvas import compact, styled_figure
from vibe_rl.plotting.config import PlotConfig
from vibe_rl.plotting.curves import shorten
from vibe_rl.plotting.palette import color_for

if TYPE_CHECKING:
    import matplotlib.figure

Interval = tuple[float, float, float]
"""A score, and the low and the high end of its interval."""


def plot_ranking(
    names: Sequence[str],
    intervals: Sequence[Interval],
    *,
    xlabel: str = "Return (IQM, 95 % interval)",
    config: PlotConfig | None = None,
    save_path: str | os.PathLike[str] | None = None,
) -> "matplotlib.figure.Figure":
    """Draws a line for each name, the first on top.

    Args:
        names: of the settings.
        intervals: of each; where the score is -inf, the plot says "diverged" instead.
        xlabel: what the scores are.
        config: how the plot looks; its height is for ten settings.
        save_path: where to write it too; folders are made.

    Raises:
        ConfigError: there is nothing to draw, or matplotlib is not installed.
    """
    if not names:
        raise ConfigError("names is empty: give one setting or more.")
    config = config or PlotConfig()
    width, height = config.figsize
    figsize = width, height * max(10, len(names)) / 10
    with styled_figure(config, save_path, figsize) as figure:
        axes = figure.subplots()
        _draw(axes, intervals)
        axes.set_yticks(range(len(names)), [shorten(name) for name in names])
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlabel(config.xlabel if config.xlabel is not None else xlabel)
        axes.set_title(config.title or "")
        axes.xaxis.set_major_formatter(lambda value, _: compact(value, least=1e4))
    return figure


def _draw(axes: Any, intervals: Sequence[Interval]) -> None:
    ends = [end for interval in intervals for end in interval if isfinite(end)]
    least = min(ends, default=0.0)
    for place, (middle, low, high) in enumerate(intervals):
        if isfinite(middle):
            axes.plot([max(low, least), high], [place, place], color=color_for(0))
            axes.plot([middle], [place], "o", color=color_for(0), markersize=7)
        else:
            axes.text(least, place, "diverged", va="center", color=color_for(1))
