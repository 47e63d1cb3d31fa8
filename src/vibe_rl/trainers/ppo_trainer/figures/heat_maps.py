"""Figures over two axes: what a policy does in two quantities, and scores of hyperparameters."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Integer

from vibe_rl.errors import ConfigError
from vibe_rl.extras import require
from vibe_rl.plotting.canvas import compact
from vibe_rl.plotting.palette import color_for
from vibe_rl.trainers.ppo_trainer.figures import panels

if TYPE_CHECKING:
    import matplotlib.figure

_PALE = "#F1F4F9"


def policy_distribution(
    theta: Float[np.ndarray, " n"],
    theta_dot: Float[np.ndarray, " m"],
    probability: Float[np.ndarray, "_ _"],
    counts: Integer[np.ndarray, " 2"] | Sequence[int],
) -> "matplotlib.figure.Figure":
    """How likely a policy pushes right over angles and angular velocities, and how often it did.

    Args:
        theta: angles of the grid, rad, rising.
        theta_dot: its angular velocities, rad/s, rising.
        probability: [n, m] of the action 1 there; NaN is left blank.
        counts: how often each of the two actions was taken.

    Raises:
        ConfigError: the grid is not as large as its axes, or matplotlib is not installed.
    """
    _check(probability, (len(theta), len(theta_dot)), "probability", "theta and theta_dot")
    with panels.sheet(11, 4.5) as figure:
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        left.set_title("Probability of pushing right")
        left.set_xlabel("Angle [rad]")
        left.set_ylabel("Angular velocity [rad/s]")
        if not panels.is_blank(left, probability):
            _draw_policy(figure, left, (theta, theta_dot), probability.T)
        _draw_counts(right, np.asarray(counts, np.float64))
    return figure


def hyperparameter_heatmap(
    names: tuple[str, str],
    values: tuple[Sequence[Any], Sequence[Any]],
    table: Float[np.ndarray, "_ _"],
    score_name: str = "final_avg_reward",
) -> "matplotlib.figure.Figure":
    """The score of every setting of two hyperparameters.

    Args:
        names: of the hyperparameter whose values are rows, from above, and of that of the columns.
        values: of both, in the order of the table.
        table: [rows, columns] of scores; a cell that is NaN stays blank.
        score_name: what the scores are.

    Raises:
        ConfigError: the table is not as large as its axes, or matplotlib is not installed.
    """
    _check(table, tuple(map(len, values)), "table", " and ".join(names))
    n_rows, n_columns = table.shape
    size = 3.5 + 0.9 * max(3, n_columns), 2 + 0.6 * max(3, n_rows)
    with panels.sheet(*size) as figure:
        axes = figure.subplots()
        axes.grid(False)
        axes.set_title(score_name.replace("_", " ").capitalize())
        axes.set_ylabel(names[0].replace("_", " "))
        axes.set_xlabel(names[1].replace("_", " "))
        if not panels.is_blank(axes, table):
            _draw_scores(figure, axes, np.where(np.isfinite(table), table, np.nan))
            axes.set_yticks(range(n_rows), [panels.words(x) for x in values[0]])
            axes.set_xticks(range(n_columns), [panels.words(x) for x in values[1]])
    return figure


def _check(cells: np.ndarray, shape: tuple[int, ...], name: str, axes: str) -> None:
    if cells.shape != shape:
        raise ConfigError(
            f"{name} has shape {cells.shape}: give {shape}, a cell for each pair of values of "
            f"{axes}."
        )


def _draw_policy(figure: Any, axes: Any, grid: tuple[np.ndarray, np.ndarray], cells: Any) -> None:
    edges = [_edges(values) for values in grid]
    colors = _colors(color_for(1), "white", color_for(0))
    mesh = axes.pcolormesh(*edges, _masked(cells), cmap=colors, vmin=0, vmax=1)
    axes.grid(False)
    undecided = np.nanmin(cells) < 0.5 < np.nanmax(cells)
    if undecided and min(cells.shape) > 1:
        axes.contour(*grid, _masked(cells), levels=[0.5], colors="0.25", linewidths=1.2)
    figure.colorbar(mesh, ax=axes, label="π(right)")


def _draw_counts(axes: Any, counts: Float[np.ndarray, " actions"]) -> None:
    axes.set_title("Actions taken")
    axes.set_ylabel("Steps")
    axes.yaxis.set_major_formatter(lambda value, _: compact(value, least=1e4))
    axes.yaxis.get_major_locator().set_params(integer=True)
    if panels.is_blank(axes, np.where(counts > 0, counts, np.nan)):
        return
    bars = axes.bar(("left", "right"), counts, color=[color_for(1), color_for(0)], width=0.6)
    axes.bar_label(bars, [f"{share:.0%}" for share in counts / counts.sum()], padding=3)
    axes.grid(False, axis="x")
    axes.margins(y=0.1)


def _draw_scores(figure: Any, axes: Any, table: Float[np.ndarray, "_ _"]) -> None:
    low, high = np.nanmin(table), np.nanmax(table)
    image = axes.imshow(_masked(table), cmap=_colors(_PALE, color_for(0)), aspect="auto")
    for (row, column), score in np.ndenumerate(table):
        if np.isfinite(score):
            dark = score - low > 0.6 * (high - low)
            look = {"ha": "center", "va": "center", "color": "white" if dark else "black"}
            axes.text(column, row, panels.three_digits(float(score)), **look)
    figure.colorbar(image, ax=axes)


def _edges(centers: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n+1"]:
    """Borders of cells around these values, halfway between them."""
    if len(centers) == 1:
        return centers[0] + np.array([-0.5, 0.5])
    middle = (centers[:-1] + centers[1:]) / 2
    return np.concatenate([2 * centers[:1] - middle[:1], middle, 2 * centers[-1:] - middle[-1:]])


def _masked(cells: np.ndarray) -> Any:
    return np.ma.masked_invalid(cells)


def _colors(*colors: str) -> Any:
    maps = require("matplotlib.colors", "plot", "plots").LinearSegmentedColormap
    return maps.from_list("vibe", colors)
