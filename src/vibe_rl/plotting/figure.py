"""What plots share: the house's style, a figure that belongs to no window, numbers for an axis."""

from pathlib import Path
from typing import Any

from vibe_rl.errors import unknown
from vibe_rl.extras import require
from vibe_rl.plotting.config import HOUSE_STYLE, PlotConfig

_MINUS = "\N{MINUS SIGN}"
_INK, _SOFT_INK, _GRID = "#1F2430", "#5B6472", "#E4E8EE"
_STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": _SOFT_INK,
    "axes.grid": True,
    "axes.labelcolor": _INK,
    "axes.labelsize": 11,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": _INK,
    "axes.titlelocation": "left",
    "axes.titlepad": 12,
    "axes.titlesize": 13,
    "axes.titleweight": "bold",
    "axes.unicode_minus": True,
    "grid.color": _GRID,
    "legend.fontsize": 10,
    "legend.frameon": False,
    "legend.labelcolor": _INK,
    "lines.linewidth": 2,
    "lines.solid_capstyle": "round",
    "xtick.color": _SOFT_INK,
    "ytick.color": _SOFT_INK,
}


def compact(value: float | int, least: float = 1e3) -> str:
    """A number for an axis, such as 250k or 1.5M; below `least` in full."""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= max(size, least):
            return f"{value / size:.6g}{letter}".replace("-", _MINUS)
    return f"{value:,.6g}".replace("-", _MINUS)


def _matplotlib() -> Any:
    require("matplotlib.style", "plot", "plots")
    require("matplotlib.figure", "plot", "plots")
    return require("matplotlib", "plot", "plots")


def styled(name: str) -> Any:
    """A context in which figures have a style; ConfigError for one that is not known."""
    style = _matplotlib().style
    if name != HOUSE_STYLE and name not in style.available:
        raise unknown("style", name, [HOUSE_STYLE, *style.available])
    return style.context(_STYLE if name == HOUSE_STYLE else name)


def new_figure(config: PlotConfig, rows: int = 1) -> tuple[Any, Any]:
    """A figure without a window, and its axes, an array of them if there are several rows."""
    size = {"figsize": config.figsize, "dpi": config.dpi}
    figure = _matplotlib().figure.Figure(**size, layout="constrained")
    return figure, figure.subplots(rows, sharex=True)


def save(figure: Any, path: Path, config: PlotConfig) -> None:
    """Writes the figure; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path if path.suffix else path.with_suffix(f".{config.save_format}"))
