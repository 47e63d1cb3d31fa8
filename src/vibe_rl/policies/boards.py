"""Networks over boards as operations: the cells, and tables of what they become for each viewer."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vibe_rl.errors import ConfigError
from vibe_rl.networks import boards
from vibe_rl.networks.parts import Part
from vibe_rl.policies.operations import PolicyNetwork, convolutions


def board_vector(network: PolicyNetwork, part: Part, over: Any, x: str, parts: list[str]) -> str:
    """One board as a vector of float32.

    Args:
        network: that is being put together.
        part: the board.
        over: the network that looks at it.
        x: the board's name.
        parts: those of all arrays of the observation.

    Raises:
        ConfigError: it cannot be written down.
    """
    if type(over) not in KINDS:
        name = type(over).__name__.lower()
        raise ConfigError(f"encoder {name} cannot be exported: use another, such as rolled.")
    rows, columns, features = part.space.shape
    x, viewer = network.add("reshape", x, shape=[rows * columns, features]), None
    if part.centre is not None:
        beside, *entries = part.centre
        how = dict(
            zip(("rows", "columns", "row", "column"), (rows, columns, *entries), strict=True)
        )
        viewer = network.add("viewer_cell", parts[beside], **how)
    out = KINDS[type(over)](network, part, over, x, viewer)
    at = None if viewer is None else jnp.zeros(2, jnp.int32)
    seen = jax.ShapeDtypeStruct(part.space.shape, jnp.float32)
    return network.add(
        "reshape", out, shape=list(jax.eval_shape(partial(over, viewer=at), seen).shape)
    )


def embed(
    network: PolicyNetwork,
    layer: boards.CellLayer,
    x: str,
    viewer: str | None = None,
    marks: np.ndarray | None = None,
) -> str:
    """The layer that the cells share; `marks` `[viewers, cells, marks]` are of each viewer."""
    linear = layer.linear
    x = network.add("dense_cells", x, params={"weight": linear.weight, "bias": linear.bias})
    if viewer is not None and marks is not None:
        table = {"table": marks @ np.asarray(layer.marks)}
        x = network.add("add", x, network.add("look_up", viewer, params=table))
    return network.add("activate", x, kind=layer.activation)


def of_every_viewer(part: Part, look: Callable[..., Any]) -> np.ndarray:
    """What `look(board, viewer)` makes of a board whose cells are numbered from 1."""
    rows, columns = part.space.shape[:2]
    number = jnp.arange(rows * columns, dtype=jnp.int32)
    board = (number + 1.0).reshape(rows, columns, 1)
    viewers = jnp.stack(jnp.divmod(number, np.int32(columns)), 1)
    return np.asarray(jax.vmap(partial(look, board))(viewers))


def marked(network: PolicyNetwork, part: Part, over: Any, x: str, viewer: str | None) -> str:
    """The cells where they are, the viewer's marked where it is known."""
    if viewer is None:
        return embed(network, over.embed, x)
    marks = of_every_viewer(part, lambda board, viewer: boards.mark(viewer, board))
    return embed(network, over.embed, x, viewer, marks)


def rolled(network: PolicyNetwork, part: Part, over: Any, x: str, viewer: str) -> str:
    """The cells from the viewer's on."""
    cells = of_every_viewer(part, boards.roll_board)
    order, marks = cells[..., 0] - 1, cells[..., 1:]
    x = network.add("rearrange", x, viewer, params={"table": order})
    return embed(network, over.embed, x, viewer, marks)


def centred(network: PolicyNetwork, part: Part, over: Any, x: str, viewer: str) -> str:
    """The cells around the viewer; all that are outside are the one after the last."""
    number = of_every_viewer(part, lambda board, viewer: boards.crop(board, viewer).ravel())
    order = np.where(number > 0, number - 1, number.max())
    x = network.add("add_outside", embed(network, over.embed, x))
    return network.add("rearrange", x, viewer, params={"table": order})


def convolved(network: PolicyNetwork, part: Part, over: Any, x: str, viewer: str | None) -> str:
    """The last feature map."""
    x = marked(network, part, over, x, viewer)
    shape = [*part.space.shape[:2], over.embed.linear.bias.shape[0]]
    return convolutions(network, network.add("reshape", x, shape=shape), over.cnn)


KINDS: dict[type, Callable[..., str]] = {
    boards.Cells: marked,
    boards.Rolled: rolled,
    boards.Centred: centred,
    boards.Convolutions: convolved,
}
"""How each network over boards is written down."""
