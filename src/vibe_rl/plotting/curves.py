"""The data behind a plot: a run's curves, its label, and several runs as a line and a band."""

import os
import re
from collections.abc import Iterable, Sequence
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vibe_rl.analysis.aggregate import bootstrap_interval, iqm
from vibe_rl.errors import ConfigError, shown
from vibe_rl.plotting.config import PlotConfig
from vibe_rl.plotting.smooth import smooth_ema, smooth_window
from vibe_rl.run_dir.files import read_json
from vibe_rl.run_dir.group import group_of
from vibe_rl.tracking.jsonl import read_metrics

_TIMESTAMP = re.compile(r"_\d{8}_\d{6}(_\d+)?$")
_LONGEST_LABEL = 48  # characters
_RESAMPLES = 1000  # for each of thousands of points
_MOST_POINTS = 2000  # of a band


class Curve(NamedTuple):
    """Points by rising `x`."""

    x: np.ndarray  # [n] float64, env steps as a rule
    y: np.ndarray  # [n] float64


class Band(NamedTuple):
    """The middle of several curves and what is shaded around it."""

    x: np.ndarray  # [n]
    middle: np.ndarray  # [n]
    low: np.ndarray | None = None  # [n], None for a single curve or shaded "none"
    high: np.ndarray | None = None


class Curves(NamedTuple):
    """The curves of one run, and what they are called."""

    name: str  # of its directory or file
    group: str  # the name of the directory of its group, or its own
    label: str  # of its algorithm
    env_id: str  # "" if unknown
    curve: Curve
    evaluation: Curve  # empty if it was never evaluated


def read_curves(path: str | os.PathLike[str], x_key: str, y_key: str) -> Curves:
    """The curves of a run directory or a JSONL file.

    Raises:
        ConfigError: It has no row with both keys.
    """
    return curves_in(path, read_metrics(path), x_key, y_key)


def curves_in(
    path: str | os.PathLike[str], rows: list[dict[str, Any]], x_key: str, y_key: str
) -> Curves:
    """The curves of a run directory or a JSONL file whose rows were read; see `read_curves`."""
    path = Path(path)
    curve = curve_of(rows, x_key, y_key)
    if len(curve.x) == 0:
        raise ConfigError(_no_rows(path, rows, x_key, y_key))
    root = _root(path)
    config = _config(root)
    env_id = config.get("env_id")
    return Curves(
        name=root.name,
        group=(group_of(root) or root).name,
        label=algorithm_of(config) or _TIMESTAMP.sub("", root.name).removesuffix(".jsonl"),
        env_id=env_id if isinstance(env_id, str) else "",
        curve=curve,
        evaluation=curve_of(rows, x_key, "eval_return"),
    )


def curve_of(rows: Iterable[dict[str, Any]], x_key: str, y_key: str) -> Curve:
    """The rows that have both numbers; of rows at the same x, which a resumed run has, the last."""
    rows = list(rows)
    y_key = spelling(rows, y_key)
    pairs = ((row.get(x_key), row.get(y_key)) for row in rows)
    points = dict(pair for pair in pairs if isinstance(pair[0], Real) and isinstance(pair[1], Real))
    x, y = np.array(sorted(points.items()), dtype=np.float64).reshape(-1, 2).T
    return Curve(x, y)


def spelling(rows: Sequence[dict[str, Any]], key: str) -> str:
    """How the rows call `key`: older logs have means of episodes under the names of single ones."""
    names = key, f"{key}_mean", key.removesuffix("_mean")
    return next((name for name in names if any(name in row for row in rows)), key)


def algorithm_of(config: dict[str, Any]) -> str | None:
    """The algorithm's name in a run's config, or None; never a whole section."""
    for key in ("algorithm", "algo", "algo_name"):
        section = config.get(key)
        if isinstance(section, dict):
            section = section.get("name") or section.get("algorithm")
        if isinstance(section, str) and section:
            return shorten(section)
    return None


def smooth_curve(curve: Curve, config: PlotConfig) -> Curve:
    """The curve smoothed as `config` asks, at the same x."""
    radius = smooth_radius(curve, config)
    if config.smooth_mode == "ema":
        return curve._replace(y=smooth_ema(curve.y, 2 * radius + 1))
    return curve._replace(y=smooth_window(curve.y, radius))


def smooth_radius(curve: Curve, config: PlotConfig) -> int:
    """The config's radius in points, or one that suits the length of the curve."""
    if config.smooth_radius is not None:
        return config.smooth_radius
    return min(len(curve.x) // 50, 10)


def band(curves: Sequence[Curve], shaded: str = "std") -> Band:
    """The band that `PlotConfig.shaded` names, over the x that all curves cover.

    Curves whose x differ are interpolated.

    Raises:
        ConfigError: The curves have no x in common.
    """
    x = common_x(curves)
    ys = np.stack([np.interp(x, *curve) for curve in curves], axis=-1)  # [n, runs]
    if shaded == "none" or len(curves) == 1:
        return Band(x, ys.mean(axis=-1))
    if shaded == "iqm":
        return Band(x, iqm(ys), *bootstrap_interval(iqm, [ys], _RESAMPLES))
    mean, spread = ys.mean(axis=-1), ys.std(axis=-1, ddof=1)
    spread = spread / np.sqrt(len(curves)) if shaded == "stderr" else spread
    return Band(x, mean, mean - spread, mean + spread)


def common_x(curves: Sequence[Curve]) -> np.ndarray:
    """The curves' own x if they share it, else as many even points as the longest has.

    No more than can be seen, as each is resampled a thousand times.
    """
    first = curves[0].x
    if len(first) <= _MOST_POINTS and all(np.array_equal(curve.x, first) for curve in curves):
        return first
    low, high = max(curve.x[0] for curve in curves), min(curve.x[-1] for curve in curves)
    if low > high:
        raise ConfigError(
            f"runs of one algorithm share no x (one starts at {low:g}, one ends at {high:g}): "
            'plot them apart with group_by="none".'
        )
    return np.linspace(low, high, min(max(len(curve.x) for curve in curves), _MOST_POINTS))


def shorten(text: str) -> str:
    """`text`, cut where a legend could not hold it."""
    return text if len(text) <= _LONGEST_LABEL else f"{text[: _LONGEST_LABEL - 1]}…"


def _root(path: Path) -> Path:
    """The run directory of a directory or a log in it; a file elsewhere stands for itself."""
    path = path.absolute()  # "." has no name
    return path.parent.parent if path.is_file() and path.parent.name == "logs" else path


def _config(root: Path) -> dict[str, Any]:
    path = root / "config.json"
    return read_json(path) if path.is_file() else {}


def _no_rows(path: Path, rows: list[dict[str, Any]], x_key: str, y_key: str) -> str:
    if not rows:
        return f"{shown(path)} has no metrics: check the path, or leave the run out."
    keys = ", ".join(sorted({key for row in rows for key in row}))
    return f"{shown(path)} has no row with {x_key!r} and {y_key!r}: choose among its keys {keys}."
