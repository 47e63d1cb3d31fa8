"""Encoders of boards: what they see, where the viewer stands, in flat and structured form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vibe_rl.errors import ConfigError
from vibe_rl.networks import Encoder
from vibe_rl.networks.boards import crop, roll_board
from vibe_rl.networks.encoder import ENCODERS, OF_ANY_SPACE, OF_TOKENS
from vibe_rl.networks.layers import row_product
from vibe_rl.networks.parts import arrays, parts, viewer
from vibe_rl.spaces import Board, Box, Dict, Flat, Image, Masked, MultiBinary
from vibe_rl.types import MaskedObs

KEY = jax.random.key(0)
ROWS, COLUMNS = 3, 4
GRID = Board(0.0, 1.0, (ROWS, COLUMNS, 2), centre=("player", 1, 0))
PARTS = {"player": Box(0.0, 1.0, (3,)), "bits": MultiBinary(2), "grid": GRID}
FLAT = Flat(PARTS)
CELLS = jnp.asarray(np.arange(1.0, 1.0 + ROWS * COLUMNS * 2, dtype=np.float32))
ON_BOARDS = [name for name in ENCODERS if name not in (*OF_ANY_SPACE, *OF_TOKENS)]
NEEDS_VIEWER = ["rolled", "centred"]


def obs_at(row, column, board=CELLS):
    """A flat observation of a viewer at that cell."""
    player = np.array([column / (COLUMNS - 1), row / (ROWS - 1), 0.5], np.float32)
    parts = {"player": player, "bits": np.array([1, 0]), "grid": board}
    return FLAT.join({name: jnp.asarray(x) for name, x in parts.items()})


def encoder(name, space=FLAT, hidden_sizes=(), width=4):
    return Encoder(KEY, space, hidden_sizes, "tanh", look=(name, width))


features = jax.jit(lambda network, obs: network(obs))


def test_the_parts_of_a_flat_space_come_in_its_own_order_and_know_their_shapes():
    seen = parts(Masked(FLAT, 3))
    assert [part.space for part in seen] == list(PARTS.values())
    found = arrays(Masked(FLAT, 3), MaskedObs(obs_at(1, 2), jnp.ones(3, bool)))
    assert [x.shape for x in found] == [(3,), (2,), GRID.shape]
    np.testing.assert_array_equal(found[2].ravel(), CELLS)


def test_a_dictionary_has_the_parts_of_its_flat_form_in_the_order_of_its_leaves():
    parts_of_dictionary = FLAT.dictionary.sample(KEY)
    found = arrays(FLAT.dictionary, parts_of_dictionary)
    for x, leaf in zip(found, jax.tree.leaves(parts_of_dictionary), strict=True):
        np.testing.assert_array_equal(x, leaf)


@pytest.mark.parametrize("space", [FLAT, FLAT.dictionary, Dict({"b": FLAT, "a": Box(0, 1, (2,))})])
def test_the_viewer_is_found_wherever_the_board_lies(space):
    obs = {"player": jnp.array([2 / 3, 0.5, 0.5]), "bits": jnp.array([1, 0]), "grid": CELLS}
    obs["grid"] = CELLS.reshape(GRID.shape)
    flat = FLAT.join(obs)
    given = {FLAT: flat, FLAT.dictionary: obs}.get(space, {"b": flat, "a": jnp.zeros(2)})
    (board,) = [part for part in parts(space) if isinstance(part.space, Board)]
    np.testing.assert_array_equal(viewer(board, arrays(space, given)), [1, 2])


@pytest.mark.parametrize("row", range(ROWS))
@pytest.mark.parametrize("column", range(COLUMNS))
def test_a_crop_and_a_roll_hold_every_cell_at_its_distance_from_the_viewer(row, column):
    board, at = CELLS.reshape(GRID.shape), jnp.array([row, column])
    cropped, (rolled, over) = np.asarray(crop(board, at)), jnp.split(roll_board(board, at), [2], 1)
    assert cropped.shape == (2 * ROWS - 1, 2 * COLUMNS - 1, 2)
    assert (cropped[ROWS - 1, COLUMNS - 1] == board[row, column]).all()
    rolled, over = (np.asarray(x).reshape(ROWS, COLUMNS, 2) for x in (rolled, over))
    for r, c in np.ndindex(ROWS, COLUMNS):
        down, right = r - row, c - column
        assert (cropped[down + ROWS - 1, right + COLUMNS - 1] == board[r, c]).all()
        assert (rolled[down, right] == board[r, c]).all()
        assert (over[down, right] == [down < 0, right < 0]).all()
    assert (cropped != 0).any(-1).sum() == ROWS * COLUMNS  # all the rest is outside


def test_a_product_of_rows_is_a_product_and_so_is_its_gradient():
    rows, weight, slope = (jax.random.normal(KEY, s) for s in ((12, 3), (3, 4), (12, 4)))
    product, back = jax.vjp(row_product, rows, weight)
    np.testing.assert_allclose(product, rows @ weight, rtol=1e-5, atol=1e-6)
    for got, expected in zip(back(slope), (slope @ weight.T, rows.T @ slope), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_the_derivative_of_a_crop_is_that_of_the_slice_it_is():
    board, weights = CELLS.reshape(GRID.shape), jax.random.normal(KEY, (5, 7, 2))
    for row, column in np.ndindex(ROWS, COLUMNS):
        at = jnp.array([row, column])
        slope = jax.grad(lambda x, at=at: jnp.sum(weights * crop(x, at)))(board)
        below, right = ROWS - 1 - row, COLUMNS - 1 - column
        expected = weights[below : below + ROWS, right : right + COLUMNS]
        np.testing.assert_array_equal(slope, expected)


@pytest.mark.parametrize("name", NEEDS_VIEWER)
def test_a_centred_board_looks_alike_wherever_the_same_things_are_at_the_same_distance(name):
    def seen(row, column):
        board = jnp.zeros(GRID.shape).at[row, column + 1].set(1.0)
        return encoder(name)(obs_at(row, column, board))[5:].reshape(-1, 4)

    right = {"rolled": 1, "centred": (ROWS - 1) * (2 * COLUMNS - 1) + COLUMNS}[name]
    np.testing.assert_array_equal(seen(0, 1)[right], seen(2, 2)[right])
    assert np.abs(seen(0, 1)[right] - seen(0, 1)[right + 1]).max() > 0.01


@pytest.mark.parametrize("name", ON_BOARDS)
def test_every_encoder_of_boards_tells_where_the_viewer_is(name):
    seen = [np.asarray(features(encoder(name), obs_at(*at)))[5:] for at in ((0, 0), (2, 1))]
    assert np.abs(seen[0] - seen[1]).max() > 1e-3  # past the player and the bits themselves


@pytest.mark.parametrize("name", ["mlp", *ON_BOARDS])
def test_gradients_reach_every_parameter_and_a_batch_is_seen_as_single_observations_are(name):
    space = Masked(FLAT.dictionary, 2)
    network, obs = encoder(name, space, (8,)), jax.vmap(space.sample)(jax.random.split(KEY, 5))
    single = jax.jit(lambda n, obs: jax.vmap(n)(obs))(network, obs)
    batch = jax.jit(lambda n, obs: n.batch(obs))(network, obs)
    np.testing.assert_allclose(batch.T, single, rtol=1e-4, atol=1e-6)
    weights = jax.random.normal(KEY, single.shape)
    slope = jax.jit(jax.grad(lambda n: jnp.sum(weights * jax.vmap(n)(obs))))(network)
    assert all(np.any(leaf) for leaf in jax.tree.leaves(slope))


@pytest.mark.parametrize("name", ["mlp", *ON_BOARDS])
def test_flat_and_structured_observations_are_the_same_to_an_encoder(name):
    structured, flat = (encoder(name, space, ()) for space in (FLAT.dictionary, FLAT))
    given = FLAT.take_apart(obs_at(1, 2))
    given["bits"] = given["bits"].astype(jnp.int32)
    in_order = jnp.sort(structured(given)), jnp.sort(flat(FLAT.join(given)))
    assert structured.n_in == flat.n_in
    if name in OF_ANY_SPACE:  # the networks of others have keys by their place
        np.testing.assert_array_equal(*in_order)


@pytest.mark.parametrize("name", ["auto", "mlp"])
def test_auto_and_mlp_take_a_flat_space_as_the_vector_it_is(name):
    obs = obs_at(1, 2)
    np.testing.assert_array_equal(encoder(name)(obs), obs)
    plain = Encoder(KEY, Box(0.0, 1.0, FLAT.shape), (4,))
    if name == "auto":
        np.testing.assert_array_equal(encoder(name, hidden_sizes=(4,))(obs), plain(obs))


@pytest.mark.parametrize("name", ON_BOARDS)
def test_an_encoder_of_boards_refuses_a_space_that_has_none(name):
    with pytest.raises(ConfigError, match=f"encoder {name} needs a Board.*use auto or mlp"):
        encoder(name, Box(0.0, 1.0, (5,)))


@pytest.mark.parametrize("name", NEEDS_VIEWER)
def test_a_board_without_a_centre_is_not_centred(name):
    with pytest.raises(ConfigError, match=f"encoder {name} needs to know where the viewer"):
        encoder(name, Board(0.0, 1.0, (2, 2, 1)))


@pytest.mark.parametrize("name", sorted(set(ON_BOARDS) - set(NEEDS_VIEWER)))
def test_other_encoders_take_boards_that_have_no_viewer(name):
    space = Board(0.0, 1.0, (2, 2, 1))
    assert encoder(name, space)(jnp.ones(space.shape)).shape == (16,)


def test_heads_need_a_width_that_they_divide():
    with pytest.raises(ConfigError, match="cell_width 6 does not divide into 4 heads"):
        encoder("attention", width=6)


def test_a_picture_beside_a_board_is_still_convolved_and_mlp_sees_it_in_fractions():
    space = Dict({"board": Board(0.0, 1.0, (2, 2, 1)), "picture": Image(6, 6, 1)})
    obs = {"board": jnp.ones((2, 2, 1)), "picture": jnp.full((6, 6, 1), 255, jnp.uint8)}
    assert encoder("cells", space)(obs).shape == (4 * 4 + 2 * 2 * 32,)
    np.testing.assert_array_equal(encoder("mlp", space)(obs), np.ones(4 + 36))
