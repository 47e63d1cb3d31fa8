"""What recordings do not say: limits of lanes, velocities, and whether edges bound the road."""

from collections.abc import Sequence

import numpy as np

from vibe_rl.env.driving.io.polylines import directions, nearest_on_line
from vibe_rl.env.driving.io.recordings.recording import MPH, Line, Recording
from vibe_rl.env.driving.scenarios.codes import EDGES, FREEWAY_LANE, LANES
from vibe_rl.env.driving.scenarios.scenario import DT

LIMITS = np.array([25, 35, 45, 70]) * MPH
"""m/s, that are usual."""
FREEWAY, STREET = 70 * MPH, 45 * MPH
"""m/s, the least on one and the most on the other."""
JUMP = 1.0
"""m/s at which somebody drives whose velocity is said to be exactly 0."""
WITHIN = 0.9
"""Of the log, that has to lie on the road by its edges if they are to bound it."""


def inferred_limit(kind: int, fastest: float) -> float:
    """A lane's limit, m/s, by its kind and by how fast the ego drove in the log: V-Max's rule."""
    above = float(LIMITS[min(int(np.searchsorted(LIMITS, fastest, "right")), len(LIMITS) - 1)])
    return max(FREEWAY, above) if kind == FREEWAY_LANE else min(STREET, above)


def with_limits(window: Recording) -> Recording:
    """The recording with a limit for every lane."""
    fastest = _fastest(window)
    return window._replace(
        lines=tuple(
            line._replace(speed=inferred_limit(line.kind, fastest))
            if line.kind in LANES and line.speed <= 0
            else line
            for line in window.lines
        )
    )


def usual_limit(window: Recording) -> float:
    """The limit where no lane is near, m/s: that of the lane at which the ego drives."""
    log = window.xy[window.ego, window.valid[window.ego]]
    lanes = [line for line in window.lines if line.kind in LANES and len(line.xy)]
    if not lanes:
        return inferred_limit(LANES[1], _fastest(window))
    return min(lanes, key=lambda x: float(np.square(x.xy - log[-1]).sum(1).min())).speed


def _fastest(window: Recording) -> float:
    return float(np.linalg.norm(window.vel[window.ego, window.valid[window.ego]], axis=1).max())


def with_velocities(r: Recording) -> Recording:
    """The recording with velocities by differences where they are 0 although somebody moves.

    ScenarioNet has such zeros where a track of nuScenes ends.
    """
    steps = np.diff(r.xy, axis=1) / DT
    both = (r.valid[:, 1:] & r.valid[:, :-1])[..., None]
    moved = np.zeros_like(r.vel)
    moved[:, :-1] = np.where(both, steps, 0.0)
    moved[:, 1:] = np.where(both, steps, moved[:, 1:])
    wrong = r.valid & (r.vel == 0).all(-1) & (np.linalg.norm(moved, axis=-1) > JUMP)
    return r._replace(vel=np.where(wrong[..., None], moved, r.vel))


def edges_bound(lines: Sequence[Line], log: np.ndarray) -> bool:
    """Whether there are edges that have the log `[n, 2]` on their left, where the road is.

    Files of some data sets have edges of either direction; lanes then say where the road ends.
    """
    edges = [line.xy for line in lines if line.kind in EDGES and len(line.xy) > 1]
    if not edges:
        return False
    ahead = np.concatenate([directions(xy) for xy in edges])
    index = nearest_on_line(log, np.concatenate(edges))[0]
    offset = log - np.concatenate(edges)[index]
    left = ahead[index, 0] * offset[:, 1] - ahead[index, 1] * offset[:, 0]
    return bool((left >= 0).mean() >= WITHIN)
