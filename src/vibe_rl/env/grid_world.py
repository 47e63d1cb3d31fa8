"""A square room to cross from one corner to the other, seen as two numbers or as a picture.

The smallest task with a goal: deterministic, and its best return is known in closed form,
`1 - 0.01 * (2 * size - 3)` in `2 * (size - 1)` steps, which is 0.93 in 8 steps for size 5.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt8

from vibe_rl.env.base import Step
from vibe_rl.env.pictures.canvas import BLUE, GRAY, GREEN, Canvas
from vibe_rl.errors import set_whole_numbers
from vibe_rl.spaces import Box, Discrete, Image
from vibe_rl.types import Key, PyTree, i32

MOVES = np.array([(-1, 0), (0, 1), (1, 0), (0, -1)], np.int32)  # up, right, down, left


class GridWorldParams(NamedTuple):
    """The constants of the environment; its size, which fixes shapes, is a field of `GridWorld`."""

    max_steps: Array = i32(100)  # env steps


class GridWorldState(NamedTuple):
    """Where the agent is."""

    position: Array  # int32[2]: row, column
    time: Array  # int32, env steps


@dataclass(frozen=True)
class GridWorld:
    """`GridWorld-v0`: from cell (0, 0) to the goal in the opposite corner.

    Observation: float32[2], `row, column` divided by `size - 1`. Actions: 0 up, 1 right, 2 down,
    3 left; walls stop the agent. Reward: 1 at the goal, which terminates, else -0.01.
    The clock truncates after `max_steps` (100). Every reset is the same.
    """

    size: int = 5  # cells along each side

    def __post_init__(self):
        set_whole_numbers(self, size=2)

    def default_params(self) -> GridWorldParams:
        """A hundred steps."""
        return GridWorldParams()

    def observation_space(self, params: GridWorldParams) -> Box | Image:
        """The unit square."""
        return Box(0.0, 1.0, (2,))

    def action_space(self, params: GridWorldParams) -> Discrete:
        """Up, right, down, left."""
        return Discrete(len(MOVES))

    def action_names(self) -> tuple[str, ...]:
        """What people call the actions."""
        return "up", "right", "down", "left"

    def keys(self) -> dict[str, int]:
        """The arrows, and w, d, s, a."""
        arrows = {"UP": 0, "RIGHT": 1, "DOWN": 2, "LEFT": 3}
        return arrows | {"w": 0, "d": 1, "s": 2, "a": 3}

    def observe(self, position: Int[Array, "2"]) -> PyTree:
        """The position, scaled to the unit square."""
        return position / jnp.float32(self.size - 1)

    def reset(self, key: Key, params: GridWorldParams) -> tuple[PyTree, GridWorldState]:
        """The agent in the upper left corner."""
        state = GridWorldState(jnp.zeros(2, jnp.int32), jnp.zeros((), jnp.int32))
        return self.observe(state.position), state

    def step(
        self, key: Key, state: GridWorldState, action: Int[Array, ""], params: GridWorldParams
    ) -> Step:
        """One cell up, right, down or left."""
        position = jnp.clip(state.position + jnp.asarray(MOVES)[action], 0, self.size - 1)
        state = GridWorldState(position, state.time + 1)
        terminated = jnp.all(position == self.size - 1)
        truncated = state.time >= params.max_steps
        reward = reward_at_goal(terminated)
        return Step(self.observe(position), state, reward, terminated, truncated, {})

    def draw(self, state: GridWorldState, params: GridWorldParams) -> UInt8[np.ndarray, "h w 3"]:
        """The room from above: its cells, the goal and the agent."""
        n, (row, column) = self.size, np.asarray(state.position).tolist()
        canvas = Canvas(0.0, n, 0.0, n)
        canvas.box((n - 1, 0.0), (n, 1.0), GREEN)
        for edge in range(n + 1):
            canvas.line([(edge, 0.0), (edge, n)], 0.03, GRAY)
            canvas.line([(0.0, edge), (n, edge)], 0.03, GRAY)
        canvas.circle((column + 0.5, n - row - 0.5), 0.32, BLUE)
        return canvas.image()


def reward_at_goal(at_goal: Array) -> Float[Array, ""]:
    """1 at the goal, and a cent for every step elsewhere."""
    return jnp.where(at_goal, jnp.float32(1.0), jnp.float32(-0.01))


@dataclass(frozen=True)
class PixelGridWorld(GridWorld):
    """`PixelGridWorld-v0`: `GridWorld` seen from above.

    Observation: uint8[size * cell_px, size * cell_px, 3]; the agent white, drawn over the goal,
    which is green; all else black.
    """

    cell_px: int = 8  # pixels along each side of a cell

    def __post_init__(self):
        super().__post_init__()
        set_whole_numbers(self, cell_px=1)

    def observation_space(self, params: GridWorldParams) -> Image:
        """Square colour pictures."""
        return Image(self.size * self.cell_px, self.size * self.cell_px, 3)

    def observe(self, position: Int[Array, "2"]) -> UInt8[Array, "h w 3"]:
        """The room from above."""
        row = np.arange(self.size * self.cell_px, dtype=np.int32)  # of pixels
        cell = row // self.cell_px
        goal_row = cell == self.size - 1
        goal = (goal_row[:, None] & goal_row)[..., None] & np.array([False, True, False])
        agent = (cell == position[0])[:, None] & (cell == position[1])[None, :]
        return jnp.where(agent[..., None], np.uint8(255), goal * np.uint8(255))


PixelGridWorldParams = GridWorldParams
