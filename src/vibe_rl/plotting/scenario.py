"""A driving scenario as a figure: the map, who is where at one frame, and where the ego goes."""

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from vibe_rl.env.driving.scenarios.codes import (
    CROSSWALK,
    EDGES,
    GO_LIGHTS,
    LANES,
    LINES,
    STOP_LIGHTS,
)
from vibe_rl.env.driving.scenarios.scenario import EGO, FIRST_FRAME, Scenario
from vibe_rl.plotting.canvas import GRID, INK, SOFT_INK, styled_figure
from vibe_rl.plotting.config import PlotConfig
from vibe_rl.plotting.palette import color_for

if TYPE_CHECKING:
    import matplotlib.figure

MARGIN = 40.0
"""Metres around the ego's drive that are in the picture."""
LAYERS = (
    (LANES, {"color": GRID, "linewidth": 6, "solid_capstyle": "butt"}),
    (tuple(LINES), {"color": SOFT_INK, "linewidth": 0.8, "linestyle": "--"}),
    (EDGES, {"color": INK, "linewidth": 1.2}),
    ((CROSSWALK,), {"color": SOFT_INK, "linewidth": 0.8, "linestyle": ":"}),
)
"""What of the map is drawn, and how."""
_UNIT_BOX = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) / 2


def plot_scenario(
    scenario: Scenario,
    *,
    frame: int = FIRST_FRAME,
    config: PlotConfig | None = None,
    save_path: str | os.PathLike[str] | None = None,
) -> "matplotlib.figure.Figure":
    """Draws the map, the boxes of everybody at a frame, and the ego's paths and logged drive.

    Args:
        scenario: one, no bank.
        frame: at which boxes and lights are drawn.
        config: how the plot looks.
        save_path: where to write it too; folders are made.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    with styled_figure(config or PlotConfig(figsize=(8, 8)), save_path) as figure:
        axes = figure.add_subplot(aspect="equal", xlabel="x [m]", ylabel="y [m]")
        axes.grid(False)
        axes.set_title((config.title if config else None) or f"Scenario {scenario.scenario_uid}")
        _draw_map(axes, scenario)
        _draw_ways(axes, scenario)
        _draw_boxes(axes, scenario, frame)
        _draw_lights(axes, scenario, frame)
        drive = scenario.log_xy[EGO, scenario.log_valid[EGO]]
        axes.set_xlim(drive[:, 0].min() - MARGIN, drive[:, 0].max() + MARGIN)
        axes.set_ylim(drive[:, 1].min() - MARGIN, drive[:, 1].max() + MARGIN)
    return figure


def _draw_map(axes: Any, s: Scenario) -> None:
    for kinds, style in LAYERS:
        there = np.flatnonzero(s.map_valid & np.isin(s.map_type, kinds))
        ends = np.flatnonzero(np.diff(s.map_id[there])) + 1
        for line in np.split(s.map_xy[there], ends):
            axes.plot(line[:, 0], line[:, 1], **style)


def _draw_ways(axes: Any, s: Scenario) -> None:
    for path, valid in zip(s.path_xy, s.path_valid, strict=True):
        axes.plot(path[valid, 0], path[valid, 1], color=color_for(2), linewidth=1, alpha=0.6)
    drive = s.log_xy[EGO, s.log_valid[EGO]]
    axes.plot(drive[:, 0], drive[:, 1], color=color_for(0), linewidth=2.5)


def _draw_boxes(axes: Any, s: Scenario, frame: int) -> None:
    for user in np.flatnonzero(s.log_valid[:, frame]):
        cos, sin = np.cos(s.log_yaw[user, frame]), np.sin(s.log_yaw[user, frame])
        turn = np.array([[cos, sin], [-sin, cos]])
        x, y = (_UNIT_BOX * s.size[user, :2] @ turn + s.log_xy[user, frame]).T
        axes.fill(x, y, color=color_for(0 if user == EGO else 1), zorder=3)


def _draw_lights(axes: Any, s: Scenario, frame: int) -> None:
    for light in np.flatnonzero(s.light_valid):
        state = s.light_state[light, frame]
        color = "tab:red" if state in STOP_LIGHTS else "tab:orange"
        color = "tab:green" if state in GO_LIGHTS else color
        axes.plot(*s.light_xy[light], "o", color=color, markersize=5, zorder=4)
