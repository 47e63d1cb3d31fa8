"""A picture of a scenario from above, around the ego."""

import numpy as np
from jaxtyping import UInt8

from vibe_rl.env.driving.motion.dynamics import Motion
from vibe_rl.env.driving.scenarios.codes import CAUTION_LIGHTS, EDGES, LANES, STOP_LIGHTS
from vibe_rl.env.driving.scenarios.scenario import EGO, Scenario
from vibe_rl.env.driving.scenarios.scene import Users
from vibe_rl.env.pictures.canvas import BLUE, GRAY, GREEN, INK, ORANGE, Canvas, Colour
from vibe_rl.types import AnyArray

SIDES = (50.0, 50.0, 30.0, 30.0)
"""Metres that are seen to the left, to the right, below and above the ego."""
POV_SIDES = (30.0, 30.0, 20.0, 80.0)
"""Those where what is ahead of it is above."""
PIXELS = 3
"""Of a metre."""
RED, YELLOW, PALE = (200, 60, 50), (220, 180, 50), (222, 222, 218)
DOT = 0.5
"""Metres."""


def ahead_upwards(scenario: Scenario, ego: Motion, users: Users) -> tuple[Scenario, Motion, Users]:
    """What `scene_from_above` draws, turned and shifted: the ego stands at 0 and looks upwards."""
    turn = np.float32(np.pi / 2) - np.asarray(ego.yaw)
    c, s = np.cos(turn), np.sin(turn)

    def moved(x: AnyArray, y: AnyArray) -> tuple[np.ndarray, np.ndarray]:
        x, y = x - np.asarray(ego.x), y - np.asarray(ego.y)
        return c * x - s * y, s * x + c * y

    places = {name: getattr(scenario, name) for name in ("map_xy", "path_xy", "light_xy")}
    places = {name: np.stack(moved(*np.moveaxis(xy, -1, 0)), -1) for name, xy in places.items()}
    x, y = moved(users.x, users.y)
    users = users._replace(x=x, y=y, yaw=users.yaw + turn)
    return scenario._replace(**places), ego._replace(x=0.0, y=0.0, yaw=np.pi / 2), users


def scene_from_above(
    scenario: Scenario, ego: Motion, users: Users, frame: int, pov: bool = False
) -> UInt8[np.ndarray, "h w 3"]:
    """Lanes pale, edges dark, the first path green, lights as they are, the ego orange.

    Args:
        scenario: one, not a bank.
        ego: where it is.
        users: where all are; the ego's slot does not count.
        frame: of the log, for the lights.
        pov: whether most of what is above the ego is seen, and less of what is beside it.
    """
    x, y = float(ego.x), float(ego.y)
    left, right, below, above = POV_SIDES if pov else SIDES
    width = round((left + right) * PIXELS)
    canvas = Canvas(x - left, x + right, y - below, y + above, width)
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
