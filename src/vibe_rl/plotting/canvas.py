"""The default style, and figures that belong to no window and no pyplot state."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vibe_rl.errors import unknown, writing
from vibe_rl.extras import require
from vibe_rl.plotting.config import DEFAULT_STYLE, PlotConfig
from vibe_rl.run_dir.files import write_atomically

_MINUS = "\N{MINUS SIGN}"
_OF_CACHE = ("temporary cache directory", "mkdir -p failed", "is not a writable directory")
INK, SOFT_INK, GRID = "#1F2430", "#5B6472", "#E4E8EE"
_UNDATED = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
_STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": SOFT_INK,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 11,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlepad": 12,
    "axes.titlesize": 13,
    "axes.titleweight": "bold",
    "axes.unicode_minus": True,
    "grid.color": GRID,
    "legend.fontsize": 10,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.linewidth": 2,
    "lines.solid_capstyle": "round",
    "xtick.color": SOFT_INK,
    "ytick.color": SOFT_INK,
}


@contextmanager
def styled_figure(
    config: PlotConfig,
    save_path: str | os.PathLike[str] | None = None,
    figsize: tuple[float | int, float | int] | None = None,
) -> Iterator[Any]:
    """An empty figure to draw on; where the block ends, it is laid out and saved.

    Args:
        config: style, size, resolution and format.
        save_path: where to write it; None writes nothing.
        figsize: width and height in inches; None takes those of `config`.
    """
    with _style(config.style):
        size = figsize or config.figsize
        figure = _matplotlib().figure.Figure(figsize=size, dpi=config.dpi, layout="constrained")
        yield figure
        if save_path is None:
            figure.draw_without_rendering()  # ticks take their style now or never
        else:
            save(figure, Path(save_path), config.save_format)


def _style(name: str) -> Any:
    style = _matplotlib().style
    if name != DEFAULT_STYLE and name not in style.available:
        raise unknown("style", name, [DEFAULT_STYLE, *style.available])
    return style.context(_STYLE if name == DEFAULT_STYLE else name)


def legend_below(figure: Any, axes: Any, letters: int) -> None:
    """Adds the legend of `axes` below the figure, in columns over `letters` letters of width."""
    handles, labels = axes.get_legend_handles_labels()
    columns = max(1, min(len(labels), letters // (max(map(len, labels)) + 8)))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)


def save(figure: Any, path: Path, save_format: str = "png") -> None:
    """Writes the figure, whole or not at all; folders are made.

    Where the path has no suffix it is `save_format`. Equal figures are equal files: without a date,
    and with the same ids.
    """
    path = path if path.suffix else path.with_suffix(f".{save_format}")
    kind, kinds = path.suffix[1:].lower(), figure.canvas.get_supported_filetypes()
    if kind not in kinds:
        raise unknown("format of a figure", path.suffix[1:], kinds)
    with writing(path), _matplotlib().rc_context({"svg.hashsalt": "vibe_rl"}):
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(path) as file:
            figure.savefig(file.name, format=kind, metadata=_UNDATED.get(kind))


def compact(value: float | int, least: float = 1e3) -> str:
    """A number for an axis, such as 250k or 1.5M; below `least` in full."""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= max(size, least):
            return f"{value / size:.6g}{letter}".replace("-", _MINUS)
    return f"{value:,.6g}".replace("-", _MINUS)


def _matplotlib() -> Any:
    logging.getLogger("matplotlib").addFilter(_is_not_of_cache)  # a second time does nothing
    require("matplotlib.style", "plot", "plots")
    require("matplotlib.figure", "plot", "plots")
    return require("matplotlib", "plot", "plots")


def _is_not_of_cache(record: logging.LogRecord) -> bool:
    """Hides that matplotlib keeps its fonts elsewhere, where a home cannot be written."""
    return not any(words in record.getMessage() for words in _OF_CACHE)
