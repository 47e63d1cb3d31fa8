"""The reward curves of runs and groups: which runs are drawn, and which of these share a curve."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vibe_rl.errors import ConfigError, UnwritableError
from vibe_rl.plotting.config import PlotConfig
from vibe_rl.plotting.reward_curve import plot_reward_curve
from vibe_rl.run_dir.directory import CURVE, RunDir
from vibe_rl.run_dir.group import (
    AnyPath,
    by_setting,
    is_group,
    is_population,
    is_sweep,
    members,
    why_diverged,
)

IQM = PlotConfig(shaded="iqm")
"""How groups are drawn, unless they are asked for otherwise."""


def plot_curves_of(
    runs: Sequence[AnyPath],
    save_path: AnyPath,
    config: PlotConfig = IQM,
    keys: Mapping[str, Any] | None = None,
    compare: bool = True,
) -> None:
    """Writes the reward curves of runs and groups.

    Args:
        runs: directories of runs and groups.
        save_path: the file.
        config: how it looks.
        keys: `x_key` and `y_key` of `plot_reward_curve`.
        compare: whether seeds of one algorithm are one curve.

    Raises:
        ConfigError: see `plot_reward_curve`.
    """
    each = [x for run in runs for x in (finite_members(run) if is_group(run) else [run])]
    group_by = "setting" if any(map(is_sweep, runs)) else "auto"
    if not compare or any(map(is_population, runs)):  # whose members are not seeds
        group_by = "none"
    plot_reward_curve(each, group_by=group_by, config=config, save_path=save_path, **(keys or {}))


def finite_members(path: AnyPath) -> list[RunDir]:
    """The runs of a group that did not diverge."""
    return [run for run in by_setting(members(path)) if why_diverged(run) is None]


def try_to_draw_curve(run_dir: RunDir) -> Path | None:
    """Writes the reward curve of a run or a group among its artifacts; the file, if there is one.

    There is none if no episode has ended or matplotlib is missing, which is no reason to say so.
    """
    path = run_dir.artifact_path(CURVE)
    config = IQM if is_group(run_dir) else PlotConfig()
    try:
        plot_curves_of([run_dir], path, config)
        return path
    except UnwritableError as error:
        warnings.warn(str(error), RuntimeWarning, stacklevel=2)
    except ConfigError:
        pass
    return None
