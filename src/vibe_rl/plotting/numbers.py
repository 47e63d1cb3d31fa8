"""Numbers that change while members train: a line for each member, and one that stands out."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vibe_rl.errors import ConfigError
from vibe_rl.plotting.canvas import compact, empty_figure, in_style, save
from vibe_rl.plotting.config import PlotConfig
from vibe_rl.plotting.palette import color_for

if TYPE_CHECKING:
    import matplotlib.figure

Line = tuple[str, Sequence[int], Sequence[Mapping[str, float]]]
"""A name, env steps, and the numbers that hold from each of them on."""
MUCH = 10.0
"""Numbers whose largest is so many times the smallest are drawn on a logarithmic axis."""


def plot_numbers(
    lines: Sequence[Line],
    best: Line,
    *,
    config: PlotConfig | None = None,
    save_path: str | os.PathLike[str] | None = None,
) -> "matplotlib.figure.Figure":
    """Draws every number against env steps, one below the other.

    Args:
        lines: of the members.
        best: what stands out, such as where the best one came from.
        config: how the plot looks; its height is for one number.
        save_path: where to write it too; folders are made.

    Raises:
        ConfigError: nothing is to be drawn, or matplotlib is not installed.
    """
    names = list(best[2][0]) if best[2] else []
    if not names:
        raise ConfigError("there is no number to draw: give one or more.")
    config = config or PlotConfig()
    width, height = config.figsize
    with in_style(config.style):
        figure = empty_figure((width, height * (1 + len(names)) / 2), config.dpi)
        rows = list(figure.subplots(len(names), sharex=True, squeeze=False)[:, 0])
        for row, name in zip(rows, names, strict=True):
            _draw(row, name, lines, best)
        rows[0].set_title(config.title or "")
        rows[0].legend()
        rows[-1].set_xlabel(config.xlabel if config.xlabel is not None else "Step")
        rows[-1].xaxis.set_major_formatter(lambda value, _: compact(value))
        figure.draw_without_rendering()
        if save_path is not None:
            save(figure, Path(save_path), config.save_format)
    return figure


def _draw(axes: Any, name: str, lines: Sequence[Line], best: Line) -> None:
    found = [values[name] for _, _, numbers in [*lines, best] for values in numbers]
    if min(found) > 0 and max(found) > MUCH * min(found):
        axes.set_yscale("log")
    for i, (_, steps, numbers) in enumerate(lines):
        style = {"color": "0.6", "linewidth": 1, "label": None if i else "members"}
        axes.plot(steps, [x[name] for x in numbers], drawstyle="steps-post", **style)
    label, steps, numbers = best
    style = {"color": color_for(0), "label": label}
    axes.plot(steps, [x[name] for x in numbers], drawstyle="steps-post", **style)
    axes.set_ylabel(name)
