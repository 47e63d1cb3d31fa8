"""Shapes with smooth edges on a NumPy array: what the environments draw their pictures with."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

Length = float | int
"""In units of the scene."""
Point = Any
"""x to the right and y up, in units of the scene."""
Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

WIDTH = 300  # pixels
PAPER, INK, GRAY = (250, 249, 247), (44, 48, 56), (190, 192, 196)
BLUE, ORANGE, GREEN = (59, 110, 176), (222, 130, 60), (86, 157, 96)


class Canvas:
    """A picture of a part of a scene, from `left` to `right` and from `bottom` to `top`."""

    def __init__(
        self, left: Length, right: Length, bottom: Length, top: Length, width: int = WIDTH
    ):
        self.scale = width / (right - left)  # pixels per unit of the scene
        self.pixels = np.full((round((top - bottom) * self.scale), width, 3), PAPER, np.float32)
        height = len(self.pixels)
        self.x = left + (np.arange(width, dtype=np.float32) + 0.5) / self.scale
        self.y = bottom + (height - np.arange(height, dtype=np.float32) - 0.5) / self.scale

    def image(self) -> UInt8[np.ndarray, "h w 3"]:
        """What was drawn."""
        return np.round(self.pixels).astype(np.uint8)

    def circle(self, centre: Point, radius: Length, colour: Colour) -> None:
        """A filled circle."""
        self.line([centre, centre], 2 * radius, colour)

    def line(self, points: Any, width: Length, colour: Colour) -> None:
        """Points joined by lines with round ends."""
        ends = np.asarray(points, np.float32)

        def outside(x: np.ndarray, y: np.ndarray) -> np.ndarray:
            distances = [_distance(x, y, a, b) for a, b in pairwise(ends)]
            return np.min(distances, axis=0) - width / 2

        self._paint(ends, width / 2, outside, colour)

    def polygon(self, points: Any, colour: Colour) -> None:
        """A filled polygon."""
        corners = np.asarray(points, np.float32)
        edges = list(zip(corners, np.roll(corners, -1, axis=0), strict=True))

        def outside(x: np.ndarray, y: np.ndarray) -> np.ndarray:
            distance = np.min([_distance(x, y, a, b) for a, b in edges], axis=0)
            crossings = np.sum([_crosses(x, y, a, b) for a, b in edges], axis=0)
            return np.where(crossings % 2, -distance, distance)

        self._paint(corners, 0.0, outside, colour)

    def box(self, low: Point, high: Point, colour: Colour) -> None:
        """A filled rectangle between two corners."""
        (left, bottom), (right, top) = low, high
        self.polygon([(left, bottom), (right, bottom), (right, top), (left, top)], colour)

    def ground(self, height: Callable[[np.ndarray], np.ndarray], colour: Colour) -> None:
        """All that lies below a curve."""
        self._blend(np.s_[:, :], self.y[:, None] - height(self.x)[None, :], colour)

    def _paint(
        self,
        points: np.ndarray,
        margin: Length,
        outside: Callable[[np.ndarray, np.ndarray], np.ndarray],
        colour: Colour,
    ) -> None:
        """Paints where `outside`, the distance from a shape, is negative, near the points."""
        margin += 1 / self.scale
        (left, bottom), (right, top) = points.min(0) - margin, points.max(0) + margin
        columns = slice(*np.searchsorted(self.x, [left, right]))
        rows = slice(*np.searchsorted(-self.y, [-top, -bottom]))
        x, y = self.x[columns][None, :], self.y[rows][:, None]
        if x.size and y.size:
            self._blend((rows, columns), outside(x, y), colour)

    def _blend(self, where: Any, outside: np.ndarray, colour: Colour) -> None:
        """A pixel is covered as far as the edge lies beyond its middle."""
        covered = np.clip(0.5 - outside * self.scale, 0, 1)[..., None].astype(np.float32)
        self.pixels[where] += covered * (np.array(colour, np.float32) - self.pixels[where])


def _distance(
    x: np.ndarray, y: np.ndarray, a: Float[np.ndarray, "2"], b: Float[np.ndarray, "2"]
) -> np.ndarray:
    """Of points from the line between `a` and `b`."""
    dx, dy = b - a
    along = ((x - a[0]) * dx + (y - a[1]) * dy) / max(dx**2 + dy**2, 1e-12)
    along = np.clip(along, 0, 1)
    return np.hypot(x - a[0] - along * dx, y - a[1] - along * dy)


def _crosses(
    x: np.ndarray, y: np.ndarray, a: Float[np.ndarray, "2"], b: Float[np.ndarray, "2"]
) -> np.ndarray:
    """Whether a ray to the right of points crosses the line between `a` and `b`."""
    spans = (a[1] > y) != (b[1] > y)
    rise = b[1] - a[1]
    return spans & (x < a[0] + (y - a[1]) * (b[0] - a[0]) / (rise if rise else 1.0))
