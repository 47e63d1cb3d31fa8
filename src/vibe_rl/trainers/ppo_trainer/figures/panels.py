"""What the panels of a training's figures are made of; none of it minds missing numbers."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

import numpy as np
from jaxtyping import Float

from vibe_rl.plotting.canvas import compact, styled_figure
from vibe_rl.plotting.config import PlotConfig
from vibe_rl.plotting.curves import shorten
from vibe_rl.plotting.palette import color_for
from vibe_rl.plotting.smooth import windows
from vibe_rl.trainers.ppo_trainer.performance import known

_SOFT = "0.35"
_GRID = "0.88"
_FEW = 20  # points that a line shows one by one
_BINS = 30

Values = Float[np.ndarray, " _"]


@contextmanager
def sheet(width: float | int, height: float | int) -> Iterator[Any]:
    """An empty figure of this size in inches, with air around its panels."""
    with styled_figure(PlotConfig(), figsize=(width, height)) as figure:
        figure.get_layout_engine().set(w_pad=0.12, h_pad=0.12)
        yield figure


def name_axes(axes: Any, title: str, xlabel: str, ylabel: str) -> None:
    """Names a panel and its axes, and writes large numbers short."""
    axes.set_title(title)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.xaxis.set_major_formatter(lambda value, _: compact(value, least=1e4))
    axes.yaxis.set_major_formatter(lambda value, _: compact(value, least=1e4))


def is_blank(axes: Any, values: np.ndarray, missing: str = "no data yet") -> bool:
    """Whether no value is finite; such a panel says so instead of showing empty axes."""
    if np.isfinite(values).any():
        return False
    axes.set_xticks([])
    axes.set_yticks([])
    look = {"ha": "center", "va": "center", "color": _SOFT}
    axes.text(0.5, 0.5, missing, transform=axes.transAxes, **look)
    return True


def curve(axes: Any, y: Values, i: int = 0, first: int = 1, **look: Any) -> None:
    """A line in the `i`-th colour whose points stand at `first`, `first + 1` and so on."""
    line(axes, np.arange(first, first + len(y)), y, color=color_for(i), **look)


def line(axes: Any, x: np.ndarray, y: Values, **look: Any) -> None:
    """A line with dots where it would not be seen, between missing values, or if points are few."""
    finite = np.isfinite(np.pad(y, 1, constant_values=np.nan))
    alone = finite[1:-1] & ~finite[:-2] & ~finite[2:]
    dots = np.flatnonzero(alone | (len(y) < _FEW))
    marks = {"marker": "o", "markersize": 5, "markevery": dots} if len(dots) else {}
    axes.plot(x, y, **marks, **look)
    if len(x) and x[-1] > _FEW:
        axes.margins(x=0.015)
        axes.set_xlim(left=0)


def curve_and_means(axes: Any, y: Values, widths: Sequence[int], label: str) -> None:
    """Single values, and before them the means over the last so many, where there are as many."""
    widths = [width for width in widths if 1 < width <= len(y)]
    faint = {"alpha": 0.35, "linewidth": 1, "markeredgewidth": 0} if widths else {}
    curve(axes, y, label=label, **faint)
    for i, width in enumerate(widths, start=1):
        mean_curve(axes, y, width, i)


def mean_curve(axes: Any, y: Values, width: int, i: int = 0) -> None:
    """The means over the last `width` values, of which there are as many or more."""
    means = windows(y, width).mean(axis=-1)
    curve(axes, means, i, first=width, label=f"mean of {width}" if width > 1 else None)


def mark_target(axes: Any, value: float | int | None, name: str = "target") -> None:
    """A dashed line at the height of `value`, if there is one."""
    value = known(value)
    if value is not None:
        label = f"{name} {compact(value, least=1e4)}"
        axes.axhline(value, color=_SOFT, linestyle="--", linewidth=1.2, label=label)


def histogram(axes: Any, values: Values, target: float | int | None = None) -> None:
    """How often values occur, with their mean and the target."""
    values = values[np.isfinite(values)]
    marks = [float(x) for x in (values.mean(), known(target)) if x is not None]
    shown = np.append(values, marks)
    extent = shown.min(), shown.max()
    axes.hist(values, bins=_BINS, range=extent, color=color_for(0), alpha=0.8)
    looks = {"color": color_for(1)}, {"color": _SOFT, "linestyle": "--", "linewidth": 1.2}
    for name, mark, look in zip(("mean", "target"), marks, looks, strict=False):
        axes.axvline(mark, label=f"{name} {compact(round(mark, 1), least=1e4)}", **look)
    axes.yaxis.get_major_locator().set_params(integer=True)


def legend_above(axes: Any) -> None:
    """Adds the legend in a row above the panel, right of its title."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        place = {"loc": "lower right", "bbox_to_anchor": (1.01, 0.99), "borderaxespad": 0.1}
        look = {"ncols": len(labels), "handlelength": 1.4, "columnspacing": 1.2}
        axes.legend(handles, labels, **place, **look)


def legend_beside(axes: Any) -> None:
    """Adds the legend on the right of the panel, for names that are many or long."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0)


def table_panel(axes: Any, rows: Sequence[Sequence[str]], align: str, header: bool = False) -> None:
    """Text in rows that fill the panel.

    Args:
        axes: the panel.
        rows: the text, all of the same number of columns.
        align: of each column "l" or "r", or " " for one that is a narrow gap.
        header: whether the first row names the columns.
    """
    axes.set_axis_off()
    widths = [0.2 if letter == " " else 1.0 for letter in align]
    drawn = axes.table(rows, colWidths=widths, bbox=(0, 0, 1, 1))
    drawn.auto_set_font_size(False)
    drawn.set_fontsize(10)
    for (row, column), cell in drawn.get_celld().items():
        cell.visible_edges = "" if align[column] == " " else "B"
        cell.set_edgecolor(_GRID)
        cell.PAD = 0.02
        cell.set_text_props(ha="right" if align[column] == "r" else "left")
        if header and row == 0:
            cell.set_text_props(weight="bold")


def words(value: Any) -> str:
    """A setting or a result as a table shows it."""
    if value is None or (isinstance(value, float) and not np.isfinite(value)):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return compact(value, least=np.inf)
    return shorten(", ".join(map(words, value)) if isinstance(value, list | tuple) else str(value))


def pairs(settings: Mapping[str, Any], columns: int) -> list[list[str]]:
    """Names and values, one below the other, in so many columns of both with gaps between."""
    cells = [(name.replace("_", " "), words(value)) for name, value in settings.items()]
    height = -(-len(cells) // columns)
    cells += [("", "")] * (height * columns - len(cells))
    rows = [[(*cell, "") for cell in cells[row::height]] for row in range(height)]
    return [list(chain.from_iterable(row))[:-1] for row in rows]


def three_digits(value: float | None) -> str:
    """A number rounded to three digits."""
    return words(value if value is None else float(f"{value:.3g}"))
