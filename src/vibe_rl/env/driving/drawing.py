"""A picture of a scenario from above, around the ego."""

import numpy as np
from jaxtyping import UInt8

from vibe_rl.env.canvas import BLUE, GRAY, GREEN, INK, ORANGE, Canvas, Colour
from vibe_rl.env.driving.codes import CAUTION_LIGHTS, EDGES, LANES, STOP_LIGHTS
from vibe_rl.env.driving.dynamics import Motion
from vibe_rl.env.driving.scenario import EGO, Scenario
from vibe_rl.env.driving.scene import Users
from vibe_rl.types import AnyArray

WIDTH, HEIGHT, PIXELS = 100.0, 60.0, 300
"""Metres that are seen, and pixels across."""
RED, YELLOW, PALE = (200, 60, 50), (220, 180, 50), (222, 222, 218)
DOT = 0.5
"""Metres."""


def picture(
    scenario: Scenario, frame: int, ego: Motion, users: Users
) -> UInt8[np.ndarray, "h w 3"]:
    """Lanes pale, edges dark, the first path green, lights as they are, the ego orange.

    Args:
        scenario: one, not a bank.
        frame: of the log, for the lights.
        ego: where it is.
        users: where all are; the ego's slot does not count.
    """
    x, y = float(ego.x), float(ego.y)
    canvas = Canvas(x - WIDTH / 2, x + WIDTH / 2, y - HEIGHT / 2, y + HEIGHT / 2, PIXELS)
    kinds = scenario.map_type
    for mask, colour in ((np.isin(kinds, LANES), PALE), (np.isin(kinds, EDGES), INK)):
        _dots(canvas, scenario.map_xy[mask & scenario.map_valid], colour)
    _dots(canvas, scenario.path_xy[0][scenario.path_valid[0]], GREEN)
    for at in np.flatnonzero(scenario.light_valid):
        colour = light_colour(int(scenario.light_state[at, frame]))
        canvas.circle(scenario.light_xy[at], 1.0, colour)
    for i in np.flatnonzero(np.asarray(users.valid)):
        if i != EGO:
            pose = (users.x[i], users.y[i], users.yaw[i])
            canvas.polygon(outline(pose, scenario.size[i]), BLUE)
    canvas.polygon(outline((ego.x, ego.y, ego.yaw), scenario.size[EGO]), ORANGE)
    return canvas.image()


def light_colour(state: int) -> Colour:
    """Red, yellow or green; gray where nobody knows."""
    if state in STOP_LIGHTS:
        return RED
    if state in CAUTION_LIGHTS:
        return YELLOW
    return GREEN if state else GRAY


def outline(pose: tuple[AnyArray, AnyArray, AnyArray], size: AnyArray) -> np.ndarray:
    """The corners of a box `[4, 2]`."""
    x, y, yaw = (float(z) for z in pose)
    ahead = np.array([np.cos(yaw), np.sin(yaw)]) * float(size[0]) / 2
    left = np.array([-np.sin(yaw), np.cos(yaw)]) * float(size[1]) / 2
    return np.array([x, y]) + np.stack([ahead + left, ahead - left, -ahead - left, left - ahead])


def _dots(canvas: Canvas, points: AnyArray, colour: Colour) -> None:
    """Squares around points, all at once."""
    points = np.asarray(points, np.float32)
    if not len(points):
        return
    reach = int(np.ceil(DOT / 2 * canvas.scale))
    columns = np.round((points[:, 0] - canvas.x[0]) * canvas.scale).astype(int)
    rows = np.round((canvas.y[0] - points[:, 1]) * canvas.scale).astype(int)
    height, width = canvas.pixels.shape[:2]
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            row, column = rows + dy, columns + dx
            seen = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            canvas.pixels[row[seen], column[seen]] = colour
