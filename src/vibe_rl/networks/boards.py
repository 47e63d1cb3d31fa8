"""Networks over one board `[R, C, features]`, and over where its viewer stands, to a vector.

Where the viewer is known they are told it: the crop and the torus by moving the board, the others
by a mark on its cell.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Num

from vibe_rl.errors import ConfigError
from vibe_rl.networks.layers import ACTIVATIONS, CNN, RowLinear, row_product
from vibe_rl.spaces import Board
from vibe_rl.types import Key

Viewer = Int[Array, " 2"] | None
Marks = Float[Array, " cells marks"] | None
HEADS = 4


def cells_of(board: Num[Array, " R C F"]) -> Num[Array, " cells F"]:
    """Cell after cell, a row of the board after another."""
    return board.reshape(-1, board.shape[2])


def n_marks(board: Board) -> int:
    """How many `mark` makes."""
    return int(board.centre is not None)


def mark(viewer: Viewer, board: Float[Array, " R C F"]) -> Marks:
    """1 on the viewer's cell, 0 elsewhere; None where nobody knows it."""
    rows, columns = board.shape[:2]
    if viewer is None:
        return None
    index = viewer[0] * columns + viewer[1]
    return jax.nn.one_hot(index, rows * columns, dtype=jnp.float32)[:, None]


def check_viewer(name: str, board: Board) -> None:
    """Raises ConfigError if a board does not say where its viewer stands."""
    if board.centre is None:
        raise ConfigError(
            f"encoder {name} needs to know where the viewer stands on {board}: give the board a "
            "centre, or use cells."
        )


class CellLayer(eqx.Module):
    """A dense layer over every cell alike, its features and some marks.

    Both have weights of their own, so that no copy of the board with both has to be made; a network
    that makes a copy anyway puts the marks behind the features, for `of_joined`.
    """

    linear: RowLinear
    marks: Array | None  # [marks, width]; None without any
    activation: str = eqx.field(static=True)

    def __init__(self, key: Key, n_in: int, n_marks: int, width: int, activation: str):
        keys = jax.random.split(key)
        self.linear = RowLinear(keys[0], n_in, width)
        drawn = jax.random.normal(keys[1], (n_marks, width), jnp.float32) / math.sqrt(width)
        self.marks = drawn if n_marks else None
        self.activation = activation

    def __call__(
        self, cells: Float[Array, " cells in"], marks: Marks = None
    ) -> Float[Array, " cells out"]:
        """The features of each cell."""
        out = jax.vmap(self.linear)(cells)
        if self.marks is not None:
            assert marks is not None
            out = out + marks @ self.marks
        return ACTIVATIONS[self.activation](out)

    def of_joined(self, cells: Float[Array, " cells in"]) -> Float[Array, " cells out"]:
        """The features of each cell, whose marks stand behind what the board says of it."""
        weight = self.linear.weight
        if self.marks is not None:
            weight = jnp.concatenate([weight, self.marks])
        out = row_product(cells, weight) + self.linear.bias[None]
        return ACTIVATIONS[self.activation](out)


class Cells(eqx.Module):
    """Every cell's features, cell after cell."""

    embed: CellLayer

    def __init__(self, key: Key, board: Board, width: int, activation: str):
        self.embed = CellLayer(key, board.shape[2], n_marks(board), width, activation)

    def __call__(self, board: Float[Array, " R C F"], viewer: Viewer) -> Float[Array, " out"]:
        """All cells, the viewer's marked."""
        return self.embed(cells_of(board), mark(viewer, board)).ravel()


class Rolled(eqx.Module):
    """The board as a torus, rolled until the viewer's cell is the first.

    A cell is told whether the roll carried it over the edge, in rows and in columns. Before the
    dense layer, for the board has no gradient and so the roll needs none, and `prepare` does it
    once for all passes over an observation.
    """

    embed: CellLayer

    def __init__(self, key: Key, board: Board, width: int, activation: str):
        check_viewer("rolled", board)
        self.embed = CellLayer(key, board.shape[2], 2, width, activation)

    def __call__(self, board: Float[Array, " R C F"], viewer: Viewer) -> Float[Array, " out"]:
        """All cells, by their distance from the viewer to the right and below."""
        return self.of_prepared(self.prepare(board, viewer))

    def prepare(self, board: Num[Array, " R C F"], viewer: Viewer) -> Num[Array, " cells n"]:
        """The rolled cells, marks behind, of the board's type: what needs no parameters."""
        return roll_board(board, viewer)

    def of_prepared(self, cells: Num[Array, " cells n"]) -> Float[Array, " out"]:
        """The rest of `__call__`."""
        return self.embed.of_joined(cells.astype(jnp.float32)).ravel()


def roll_board(board: Num[Array, " R C F"], viewer: Viewer) -> Num[Array, " cells n"]:
    """The cells of a board from the viewer's on, and whether they are beyond its two edges."""
    assert viewer is not None
    rows, columns = board.shape[:2]
    row, column = (viewer[i] + jnp.arange(n) for i, n in enumerate((rows, columns)))
    index = (row % rows)[:, None] * columns + (column % columns)[None, :]
    over = jnp.meshgrid(row >= rows, column >= columns, indexing="ij")
    marks = jnp.stack(over, -1).reshape(-1, 2).astype(board.dtype)
    return jnp.concatenate([cells_of(board)[index.ravel()], marks], 1)


class Centred(eqx.Module):
    """A crop with the viewer in its middle that holds the whole board wherever it stands."""

    embed: CellLayer

    def __init__(self, key: Key, board: Board, width: int, activation: str):
        check_viewer("centred", board)
        self.embed = CellLayer(key, board.shape[2], 0, max(width - 1, 1), activation)

    def __call__(self, board: Float[Array, " R C F"], viewer: Viewer) -> Float[Array, " out"]:
        """All cells of the crop; their last feature is 1 on the board and 0 outside."""
        cells = self.embed(cells_of(board))
        cells = jnp.concatenate([cells, jnp.ones((len(cells), 1), jnp.float32)], 1)
        return crop(cells.reshape(*board.shape[:2], -1), viewer).ravel()


@jax.custom_vjp
def crop(cells: Float[Array, " R C F"], viewer: Viewer) -> Float[Array, " H W F"]:
    """The cells around the viewer `[2R - 1, 2C - 1]`, zeros outside the board.

    With a derivative of its own: that of a gather would be a scatter, slow on a CPU.
    """
    rows, columns, features = cells.shape
    assert viewer is not None
    padded = jnp.pad(cells, ((rows - 1,) * 2, (columns - 1,) * 2, (0, 0)))
    size = 2 * rows - 1, 2 * columns - 1, features
    return jax.lax.dynamic_slice(padded, (viewer[0], viewer[1], 0), size)


def _crop_forward(cells: Array, viewer: Array) -> tuple[Array, Array]:
    return crop(cells, viewer), viewer


def _crop_backward(viewer: Array, slope: Array) -> tuple[Array, None]:
    rows, columns = ((side + 1) // 2 for side in slope.shape[:2])
    begin = rows - 1 - viewer[0], columns - 1 - viewer[1], 0
    return jax.lax.dynamic_slice(slope, begin, (rows, columns, slope.shape[2])), None


crop.defvjp(_crop_forward, _crop_backward)


class Attention(eqx.Module):
    """One block of self-attention over the cells (Vaswani et al. 2017, arXiv:1706.03762)."""

    embed: CellLayer
    position: Array  # [cells, width]
    queries_keys_values: RowLinear
    out: RowLinear

    def __init__(self, key: Key, board: Board, width: int, activation: str):
        if width % HEADS:
            raise ConfigError(f"cell_width {width} does not divide into {HEADS} heads: round it.")
        keys = jax.random.split(key, 4)
        rows, columns, features = board.shape
        self.embed = CellLayer(keys[0], features, n_marks(board), width, activation)
        self.position = 0.1 * jax.random.normal(keys[1], (rows * columns, width), jnp.float32)
        self.queries_keys_values = RowLinear(keys[2], width, 3 * width, scale=1.0)
        self.out = RowLinear(keys[3], width, width, scale=1.0)

    def __call__(self, board: Float[Array, " R C F"], viewer: Viewer) -> Float[Array, " out"]:
        """All cells, each with what it attends to added."""
        cells = self.embed(cells_of(board), mark(viewer, board)) + self.position
        split = jnp.split(jax.vmap(self.queries_keys_values)(cells), 3 * HEADS, 1)
        queries, keys, values = (jnp.stack(split[i * HEADS : (i + 1) * HEADS]) for i in range(3))
        seen = jax.vmap(_attend)(queries, keys, values)
        return (cells + jax.vmap(self.out)(jnp.concatenate(seen, 1))).ravel()


def _attend(
    queries: Float[Array, " cells d"], keys: Float[Array, " cells d"], values: Array
) -> Float[Array, " cells d"]:
    """For each query the mean of the values, weighted by how its key answers."""
    weights = jax.nn.softmax(queries @ keys.T / math.sqrt(queries.shape[1]), axis=-1)
    return weights @ values


class Convolutions(eqx.Module):
    """Convolutions that keep the board's size, over every cell's features."""

    embed: CellLayer
    cnn: CNN

    def __init__(self, key: Key, board: Board, width: int, activation: str):
        keys = jax.random.split(key)
        self.embed = CellLayer(keys[0], board.shape[2], n_marks(board), width, activation)
        self.cnn = CNN(keys[1], (*board.shape[:2], width), ((width, 3, 1),) * 2, "SAME")

    def __call__(self, board: Float[Array, " R C F"], viewer: Viewer) -> Float[Array, " out"]:
        """The last feature map, flattened."""
        cells = self.embed(cells_of(board), mark(viewer, board))
        return self.cnn(cells.reshape(*board.shape[:2], -1))
