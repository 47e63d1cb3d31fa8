"""Hyperparameters that change during training: a line for each member, and one that stands out."""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vibe_rl.errors import ConfigError
from vibe_rl.plotting.canvas import compact, styled_figure
from vibe_rl.plotting.config import PlotConfig
from vibe_rl.plotting.palette import color_for

if TYPE_CHECKING:
    import matplotlib.figure

Line = tuple[str, Sequence[int], Sequence[Mapping[str, float]]]
"""A label, env steps, and the hyperparameters from each of these steps on."""
LOG_SCALE_FROM = 10.0
"""The ratio of the largest value to the smallest above which the axis is logarithmic."""


def plot_hyperparameters(
    lines: Sequence[Line],
    best: Line,
    *,
    config: PlotConfig | None = None,
    save_path: str | os.PathLike[str] | None = None,
) -> "matplotlib.figure.Figure":
    """Draws every hyperparameter against env steps, one below the other.

    Args:
        lines: of the members.
        best: what stands out, such as the history of the best member's state.
        config: how the plot looks; its height is for one hyperparameter.
        save_path: where to write it too; folders are made.

    Raises:
        ConfigError: there is nothing to draw, or matplotlib is not installed.
    """
    names = list(best[2][0]) if best[2] else []
    if not names:
        raise ConfigError("best has no hyperparameter to draw: give one or more.")
    config = config or PlotConfig()
    width, height = config.figsize
    with styled_figure(config, save_path, (width, height * (1 + len(names)) / 2)) as figure:
        rows = list(figure.subplots(len(names), sharex=True, squeeze=False)[:, 0])
        for row, name in zip(rows, names, strict=True):
            _draw(row, name, lines, best)
        rows[0].set_title(config.title or "")
        rows[0].legend()
        rows[-1].set_xlabel(config.xlabel if config.xlabel is not None else "Step")
        rows[-1].xaxis.set_major_formatter(lambda value, _: compact(value))
    return figure


def _draw(axes: Any, name: str, lines: Sequence[Line], best: Line) -> None:
    values = [entry[name] for _, _, entries in [*lines, best] for entry in entries]
    if min(values) > 0 and max(values) > LOG_SCALE_FROM * min(values):
        axes.set_yscale("log")
    for i, line in enumerate(lines):
        label = None if i else "members"
        _draw_steps(axes, name, line, color="0.6", linewidth=1, label=label)
    _draw_steps(axes, name, best, color=color_for(0), label=best[0])
    axes.set_ylabel(name)


def _draw_steps(axes: Any, name: str, line: Line, **style: Any) -> None:
    _, steps, entries = line
    axes.plot(steps, [entry[name] for entry in entries], drawstyle="steps-post", **style)
