"""Return against env steps: one run with its evaluations, or means over the runs of algorithms."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from vibe_rl.errors import ConfigError, unknown
from vibe_rl.plotting.canvas import compact, legend_below, styled_figure
from vibe_rl.plotting.config import PlotConfig
from vibe_rl.plotting.curves import (
    Curves,
    band,
    read_curves,
    shorten,
    smooth_curve,
    smooth_radius,
)
from vibe_rl.plotting.palette import color_for
from vibe_rl.run_dir.group import AnyPath

if TYPE_CHECKING:
    import matplotlib.figure

GROUPS = ("auto", "none", "setting", "directory")
_NAMES = {"wall_time": "Wall time [s]"}


def plot_reward_curve(
    run_dirs: AnyPath | Sequence[AnyPath],
    *,
    x_key: str = "step",
    y_key: str = "episode_return",
    smooth: int | None = None,
    style: str | None = None,
    group_by: str = "auto",
    config: PlotConfig | None = None,
    save_path: AnyPath | None = None,
) -> "matplotlib.figure.Figure":
    """Draw `y_key` over `x_key` for one or many runs.

    A single run shows its raw values faintly behind the smoothed ones, and its evaluations. Several
    runs of one algorithm on one environment become a mean with a shaded spread over the shared x,
    or whatever `config.shaded` asks for.

    Args:
        run_dirs: Run directories or JSONL files; the algorithm's name is read from `config.json`.
        x_key: Horizontal quantity, env steps by default.
        y_key: Vertical quantity.
        smooth: Takes the place of `config.smooth_radius`, in rows.
        style: Takes the place of `config.style`.
        group_by: "auto"; "none" draws every run apart, named by its directory; "setting" groups the
            members of a sweep by the part of their names before the seed; "directory" the members
            of each group, named by its directory.
        config: How the plot looks.
        save_path: Where to write it too; folders are made.

    Returns:
        A figure that belongs to no window and no pyplot state.

    Raises:
        ConfigError: A run has no such data, a name is unknown, or matplotlib is not installed.
    """
    config = _override(config or PlotConfig(), smooth, style)
    paths = [run_dirs] if isinstance(run_dirs, str | os.PathLike) else list(run_dirs)
    if not paths:
        raise ConfigError("run_dirs is empty: give at least one run directory.")
    runs = [read_curves(path, x_key, y_key) for path in paths]
    return plot_curves(runs, (x_key, y_key), group_by, config, save_path)


def plot_curves(
    runs: list[Curves],
    keys: tuple[str, str],
    group_by: str,
    config: PlotConfig,
    save_path: AnyPath | None = None,
) -> "matplotlib.figure.Figure":
    """Draw curves that have been read; see `plot_reward_curve`.

    Args:
        runs: The curves of each run.
        keys: Names of the horizontal and the vertical quantity.
        group_by: See `plot_reward_curve`.
        config: How the plot looks.
        save_path: Where to write it too.
    """
    groups = _groups(runs, group_by)
    with styled_figure(config, save_path) as figure:
        axes = figure.subplots()
        _draw(axes, groups, keys[1], config)
        _annotate(figure, axes, groups, keys, config)
    return figure


def _override(config: PlotConfig, smooth: int | None, style: str | None) -> PlotConfig:
    if smooth is not None:
        config = replace(config, smooth_radius=smooth)
    return config if style is None else replace(config, style=style)


def _groups(runs: list[Curves], group_by: str) -> dict[str, list[Curves]]:
    """Runs by the label they share, sorted; an environment is never mixed with another."""
    if group_by not in GROUPS:
        raise unknown("group_by", group_by, GROUPS)
    if group_by == "setting":
        return _by_label(r._replace(label=r.name.rpartition("_seed_")[0] or r.label) for r in runs)
    if group_by == "directory":
        return _by_label(run._replace(label=run.group) for run in runs)
    if group_by == "none":
        return _by_label(run._replace(label=run.name) for run in runs)
    if len({run.env_id for run in runs}) > 1:
        runs = [r._replace(label=f"{r.label} on {r.env_id}" if r.env_id else r.label) for r in runs]
    return _by_label(runs)


def _by_label(runs: Iterable[Curves]) -> dict[str, list[Curves]]:
    label = attrgetter("label")
    groups = {name: list(group) for name, group in groupby(sorted(runs, key=label), label)}
    short = [shorten(name) for name in groups]
    return (
        dict(zip(short, groups.values(), strict=True)) if len(set(short)) == len(short) else groups
    )


def _draw(axes: Any, groups: dict[str, list[Curves]], y_key: str, config: PlotConfig) -> None:
    runs = [run for group in groups.values() for run in group]
    if len(runs) == 1:
        _draw_run(axes, runs[0], y_key, config)
        return
    for i, (label, group) in enumerate(groups.items()):
        _draw_group(axes, label, group, color_for(i), config)


def _draw_run(axes: Any, run: Curves, y_key: str, config: PlotConfig) -> None:
    color = color_for(0)
    if smooth_radius(run.curve, config):
        axes.plot(*run.curve, color=color, alpha=0.25, linewidth=1)
    label = "training" if y_key == "episode_return" else _name(y_key).lower()
    axes.plot(*smooth_curve(run.curve, config), color=color, label=label, **_dot(run.curve.x))
    if len(run.evaluation.x) and y_key in ("episode_return", "episode_return_mean"):
        axes.plot(*run.evaluation, "o-", color=color_for(1), markersize=5, label="evaluation")


def _draw_group(axes: Any, label: str, runs: list[Curves], color: str, config: PlotConfig) -> None:
    x, middle, low, high = band([smooth_curve(run.curve, config) for run in runs], config.shaded)
    axes.plot(x, middle, color=color, label=_with_count(label, runs), **_dot(x))
    if low is not None:
        axes.fill_between(x, low, high, color=color, alpha=0.18, linewidth=0)


def _with_count(label: str, runs: list[Curves]) -> str:
    return f"{label} ({len(runs)} runs)" if len(runs) > 1 else label


def _dot(x: Any) -> dict[str, str]:
    """A marker for a single point, which a line does not show."""
    return {"marker": "o"} if len(x) == 1 else {}


def _annotate(
    figure: Any,
    axes: Any,
    groups: dict[str, list[Curves]],
    keys: tuple[str, str],
    config: PlotConfig,
) -> None:
    axes.set_title(config.title if config.title is not None else _title(groups))
    axes.set_xlabel(config.xlabel if config.xlabel is not None else _name(keys[0]))
    axes.set_ylabel(
        config.ylabel if config.ylabel is not None else _ylabel(keys[1], groups, config)
    )
    axes.xaxis.set_major_formatter(lambda value, _: compact(value))
    axes.yaxis.set_major_formatter(lambda value, _: compact(value, least=1e4))
    axes.margins(x=0.015)
    if axes.dataLim.x0 >= 0:
        axes.set_xlim(left=0)
    if len(axes.get_legend_handles_labels()[0]) > 1:
        legend_below(figure, axes, letters=round(12 * config.figsize[0]))


def _title(groups: dict[str, list[Curves]]) -> str:
    env_ids = {run.env_id for group in groups.values() for run in group}
    labels = [_with_count(*group) for group in groups.items()] if len(groups) == 1 else []
    return " · ".join(filter(None, [*(env_ids if len(env_ids) == 1 else ()), *labels]))


def _ylabel(y_key: str, groups: dict[str, list[Curves]], config: PlotConfig) -> str:
    if config.shaded == "none" or all(len(group) == 1 for group in groups.values()):
        return _name(y_key)
    what = "IQM, 95 % interval" if config.shaded == "iqm" else f"mean ± {config.shaded}"
    return f"{_name(y_key)} ({what})"


def _name(key: str) -> str:
    return _NAMES.get(key, key.replace("_", " ").capitalize())
