"""Networks: orthogonal matrices, layers by hand and an encoder for every space."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from vibe_rl.errors import ConfigError
from vibe_rl.networks import CNN, MLP, Encoder, Linear
from vibe_rl.networks.encoder import (
    NATURE_CNN,
    SMALL_CNN,
    TINY_CNN,
    array_spaces,
    default_cnn,
    pixels,
)
from vibe_rl.networks.in_words import describe_network, surprises
from vibe_rl.networks.layers import ACTIVATIONS, orthogonal
from vibe_rl.spaces import Box, Dict, Discrete, Image, Masked, MultiBinary, MultiDiscrete, Space
from vibe_rl.types import MaskedObs

KEY = jax.random.key(0)
KEYS = jax.random.split(KEY, 4)
FACTORISATIONS = "Qr", "QR", "geqrf", "lapack", "svd", "Eigh"
IMAGE = Image(10, 10, 4)
# space, width of the dense layers' input
SPACES = [
    (Box(-1.0, 1.0, (3,)), 3),
    (Box(-1.0, 1.0, ()), 1),
    (Box(-1.0, 1.0, (2, 3)), 6),
    (Discrete(5), 5),
    (MultiDiscrete((2, 3)), 5),
    (MultiBinary(4), 4),
    # nature: (40 - 8) / 4 + 1 = 9, (9 - 4) / 2 + 1 = 3, 3 - 3 + 1 = 1; 1 * 1 * 64
    (Image(40, 40, 3), 64),
    # small: 10 - 2 = 8, 8 - 2 = 6; 6 * 6 * 32
    (IMAGE, 1152),
    (Box(0.0, 1.0, (10, 10, 4)), 1152),
    (Dict({"b": Discrete(2), "a": Box(0.0, 1.0, (3,))}), 5),
    (Dict({"picture": IMAGE, "inner": Dict({"n": Discrete(2)})}), 1154),
    (Masked(Box(-1.0, 1.0, (3,)), 7), 3),
    (Masked(Dict({"a": MultiBinary(2), "picture": IMAGE}), 7), 1154),
]

make_orthogonal = jax.jit(orthogonal, static_argnums=(1, 2, 3))
make_mlp = jax.jit(MLP, static_argnums=(1, 2, 3))


def filled(network, *args):
    """A network of that kind and those arguments with normal numbers in it, without compiling."""
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(lambda key: network(key, *args), KEY)
    return jax.tree.map(
        lambda x: jnp.asarray(
            np.asarray(rng.normal(size=x.shape) / math.sqrt(max(x.shape[0], 1)), x.dtype)
        ),
        shapes,
    )


@jax.jit
def many_orthogonal():
    """2000 matrices of 8 x 8."""
    return jax.vmap(lambda key: orthogonal(key, 8, 8))(jax.random.split(KEY, 2000))


def kind(value):
    return type(value).__name__ if isinstance(value, Space) else str(value)


@pytest.mark.parametrize(("rows", "columns"), [(64, 3), (3, 64), (1, 8), (1, 1), (256, 256)])
def test_the_shorter_side_of_an_orthogonal_matrix_is_orthonormal(rows, columns):
    x = np.asarray(make_orthogonal(KEY, rows, columns), np.float64)
    assert x.shape == (rows, columns)
    gram = x.T @ x if rows >= columns else x @ x.T
    np.testing.assert_allclose(gram, np.eye(min(rows, columns)), atol=5e-6)


def test_orthogonal_matrices_are_the_same_under_vmap():
    together = jax.jit(jax.vmap(lambda key: orthogonal(key, 3, 64)))(KEYS)
    alone = np.stack([make_orthogonal(key, 3, 64) for key in KEYS])
    np.testing.assert_allclose(together, alone, atol=2e-6)
    assert np.abs(alone[0] - alone[1]).max() > 0.1


def test_every_square_matrix_of_many_seeds_converges():
    # the smallest singular value of a square Gaussian matrix can be tiny: many draws
    drawn = np.asarray(many_orthogonal())
    gram = np.einsum("kij,kil->kjl", drawn, drawn)
    np.testing.assert_allclose(gram, np.broadcast_to(np.eye(8), gram.shape), atol=1e-5)


def test_entries_of_orthogonal_matrices_have_the_uniform_law():
    # (1 + q_11) / 2 of a uniform orthogonal n x n matrix is Beta((n - 1) / 2, (n - 1) / 2)
    drawn = many_orthogonal()
    law = stats.beta(3.5, 3.5)
    for i, j in ((0, 0), (3, 5), (7, 7)):
        assert stats.kstest((1 + np.asarray(drawn[:, i, j])) / 2, law.cdf).pvalue > 1e-4
    determinants = np.linalg.det(np.asarray(drawn))
    # both orientations, as often as a coin: five standard deviations of 2000 tosses
    assert abs((determinants > 0).mean() - 0.5) < 5 * 0.5 / math.sqrt(2000)


def test_no_lapack_call_is_made_to_initialise():
    lowered = jax.jit(jax.vmap(lambda key: orthogonal(key, 8, 8))).lower(KEYS)
    for text in (lowered.as_text(), lowered.compile().as_text()):
        calls = [
            line for line in text.splitlines() if "custom_call" in line or "custom-call" in line
        ]
        assert not [call for call in calls for word in FACTORISATIONS if word in call]


def test_a_linear_layer_multiplies_and_adds():
    layer = filled(Linear, 2, 3)
    rows = layer.weight if layer.weight.shape == (2, 3) else layer.weight.T  # one per input
    expected = 2.0 * rows[0] - rows[1] + layer.bias
    np.testing.assert_allclose(layer(jnp.array([2.0, -1.0])), expected, rtol=1e-5)


def test_layers_start_orthogonal_without_bias_and_differ():
    # all singular values of a square layer are sqrt(2): |W x|^2 = 2 |x|^2 = 2 * 25
    first, second = make_mlp(KEY, 4, (4, 4)).layers
    np.testing.assert_array_equal(first.bias, 0.0)
    np.testing.assert_allclose(jnp.sum(first(jnp.array([3.0, 0, -4, 0])) ** 2), 50.0, rtol=1e-5)
    np.testing.assert_allclose(second.weight @ second.weight.T, 2 * np.eye(4), atol=1e-5)
    assert jnp.abs(first.weight - second.weight).max() > 0.1


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_dense_layers_are_each_followed_by_the_activation(activation):
    mlp, x = filled(MLP, 3, (5, 4), activation), jnp.array([0.5, -1.0, 2.0])
    act = ACTIVATIONS[activation]
    first, second = mlp.layers
    np.testing.assert_allclose(mlp(x), act(second(act(first(x)))), rtol=1e-6)


def test_without_hidden_layers_an_mlp_changes_nothing():
    x = jnp.array([0.5, -1.0])
    np.testing.assert_array_equal(MLP(KEY, 2, ())(x), x)


def test_an_unknown_activation_is_refused_with_the_nearest_names():
    with pytest.raises(ConfigError, match="unknown activation 'thanh': did you mean tanh"):
        MLP(KEY, 2, (3,), "thanh")


def test_a_convolution_sums_the_pixels_under_its_kernel():
    # a 2 x 2 kernel of ones with stride 2 on 0 .. 15: 0+1+4+5 = 10, 2+3+6+7 = 18, 42, 50
    cnn = CNN(KEY, (4, 4, 1), ((1, 2, 2),))
    cnn = jax.tree.map(jnp.ones_like, cnn)
    image = jnp.arange(16.0).reshape(4, 4, 1)
    np.testing.assert_allclose(cnn(image), [10.0, 18.0, 42.0, 50.0])
    np.testing.assert_allclose(cnn(-image), 0.0)  # ReLU


def test_small_pictures_get_small_convolutions():
    assert default_cnn((36, 36, 3)) == NATURE_CNN
    assert default_cnn((36, 35, 3)) == SMALL_CNN
    assert default_cnn((4, 4, 31)) == TINY_CNN


@pytest.mark.parametrize(("space", "n_in"), SPACES, ids=kind)
def test_there_is_an_encoder_for_every_space(space, n_in):
    encoder = filled(Encoder, space, (6,))
    assert (encoder.n_in, encoder.width) == (n_in, 6)
    features = jax.eval_shape(lambda key: encoder(space.sample(key)), KEY)
    assert (features.shape, features.dtype) == ((6,), jnp.float32)


def test_observations_are_seen_alone_as_side_by_side():
    space = Dict({"picture": Image(5, 5, 1), "n": Discrete(9), "x": Box(-1, 1, (2,))})
    encoder = filled(Encoder, space, (6,))
    obs = jax.vmap(space.sample)(KEYS)
    features = jax.jit(jax.vmap(encoder))(obs)
    one = encoder(jax.tree.map(lambda x: x[0], obs))
    np.testing.assert_allclose(features[0], one, rtol=1e-4, atol=1e-5)
    assert len(np.unique(features.round(4), axis=0)) == 4


def test_a_fresh_encoder_holds_nothing_but_arrays():
    encoder = Encoder(KEY, Dict({"picture": Image(5, 5, 1), "n": Discrete(2)}), (2,))  # not jitted
    leaves = jax.tree.leaves(encoder)
    assert len(leaves) == 4  # two kernels, a weight and a bias
    assert all(isinstance(leaf, jax.Array) and leaf.dtype == jnp.float32 for leaf in leaves)


@pytest.mark.parametrize(
    ("space", "obs", "expected"),
    [
        (Discrete(3), jnp.int32(1), [0, 1, 0]),
        (MultiDiscrete((2, 3)), jnp.array([1, 2]), [0, 1, 0, 0, 1]),
        (MultiBinary(3), jnp.array([1, 0, 1]), [1, 0, 1]),
        (Box(0, 255, (2,), jnp.uint8), jnp.array([7, 255], jnp.uint8), [7, 255]),
        (Box(0.0, 9.0, (2, 2)), jnp.array([[1.0, 2.0], [3.0, 4.0]]), [1, 2, 3, 4]),
        (Masked(Discrete(2), 4), MaskedObs(jnp.int32(0), jnp.ones(4, bool)), [1, 0]),
        (
            Dict({"b": Discrete(2), "a": Box(0.0, 9.0, ())}),
            {"b": jnp.int32(1), "a": jnp.float32(5.0)},
            [5, 0, 1],
        ),
    ],
    ids=kind,
)
def test_without_layers_an_encoder_shows_the_vector_it_feeds_them(space, obs, expected):
    encoder = filled(Encoder, space, ())
    assert encoder.width == len(expected)
    np.testing.assert_array_equal(encoder(obs), np.array(expected, np.float32))


def test_an_encoder_does_not_see_the_mask():
    encoder = filled(Encoder, Masked(Box(-1.0, 1.0, (3,)), 2), (4,))
    some, others = (MaskedObs(jnp.ones(3), jnp.array(legal)) for legal in ([1, 0], [0, 1]))
    np.testing.assert_array_equal(encoder(some), encoder(others))


def test_bytes_of_a_picture_become_fractions():
    fractions = pixels(Image(1, 1, 3), jnp.array([[[0, 51, 255]]], jnp.uint8))
    np.testing.assert_allclose(fractions, [[[0.0, 0.2, 1.0]]], rtol=1e-6)
    assert fractions.dtype == jnp.float32


@pytest.mark.parametrize(
    ("low", "high", "dtype", "size"),
    [
        (0, 255, jnp.uint8, 255.0),
        (0, 255, jnp.float32, 255.0),
        (0, 1, jnp.uint8, 1.0),
        (0, 1, jnp.int32, 1.0),
        (0, 1, bool, 1.0),
        (-1.0, 1.0, jnp.float32, 1.0),
        (-128, 127, jnp.int8, 128.0),
        (-np.inf, np.inf, jnp.float32, 1.0),
    ],
)
def test_a_picture_is_divided_by_its_largest_bound_whatever_its_type(low, high, dtype, size):
    space = Box(low, high, (8, 8, 2), dtype)
    picture = space.sample(jax.random.key(0))
    seen = pixels(space, picture)
    assert seen.dtype == jnp.float32
    np.testing.assert_allclose(seen, picture.astype(jnp.float32) / size, rtol=1e-6)
    like = Encoder(jax.random.key(1), Box(-1.0, 1.0, (8, 8, 2)), (4,))
    encoder = Encoder(jax.random.key(1), space, (4,))
    np.testing.assert_allclose(encoder(picture), like(seen), rtol=1e-6)


def test_a_stack_of_pictures_is_one_with_more_channels():
    space = Box(0, 255, (3, 8, 9, 2), jnp.uint8)
    stack = space.sample(jax.random.key(0))
    seen = pixels(space, stack)
    assert seen.shape == (8, 9, 6)
    np.testing.assert_allclose(seen[..., 2:4], stack[1] / 255.0, rtol=1e-6)
    assert describe_network(space) == ["a picture of 8 x 9 pixels, 6 channels, divided by 255"]


def test_a_matrix_of_bytes_is_a_gray_picture_and_a_small_one_a_board():
    gray, board = Box(0, 255, (84, 84), jnp.uint8), Box(0, 11, (4, 4), jnp.uint8)
    assert describe_network(gray) == ["a picture of 84 x 84 pixels, 1 channels, divided by 255"]
    assert describe_network(board) == ["16 numbers as they are"]
    assert Encoder(jax.random.key(0), gray, (4,))(gray.sample(jax.random.key(1))).shape == (4,)


@pytest.mark.parametrize(
    ("space", "remedy"),
    [
        (Box(-10.0, 10.0, (3,)), None),
        (Box(-np.inf, np.inf, (3,)), None),
        (Box(0, 255, (8, 8, 3), jnp.uint8), None),
        (Image(8, 8, 3), None),
        (Box(0, 255, (128,), jnp.uint8), "128 numbers as they are: scale them, they go up to 255"),
        (Box(-np.inf, np.inf, (8, 8, 3)), "3 channels, as it is: give it bounds"),
        (Box(0, 255, (4, 8, 8, 1), jnp.uint8), "4 channels, divided by 255: flatten it"),
        (Box(0, 255, (84, 84), jnp.uint8), "1 channels, divided by 255: flatten it"),
    ],
)
def test_what_may_not_be_meant_is_noted(space, remedy):
    found = surprises(Dict({"only": space}))
    assert len(found) == (remedy is not None)
    assert all(remedy in note for note in found)


def test_what_networks_see_is_described_array_by_array():
    space = Masked(Dict({"a": Discrete(3), "b": Box(-1.0, 1.0, (2,)), "c": Image(9, 9, 1)}), 2)
    expected = ["3 ones and zeros", "2 numbers as they are"]
    assert describe_network(space) == [
        *expected,
        "a picture of 9 x 9 pixels, 1 channels, divided by 255",
    ]


def test_convolutions_can_be_chosen():
    # one kernel of 4 x 4 with stride 2 on 10 x 10: 4 * 4 * 5 = 80
    assert filled(Encoder, IMAGE, (8,), "relu", ((5, 4, 2),)).n_in == 80


@pytest.mark.parametrize("side", [1, 2])
def test_a_picture_too_small_for_its_convolutions_is_refused(side):
    with pytest.raises(ConfigError, match="conv_layers"):
        filled(Encoder, Image(side, side, 1), (8,))


def test_a_mask_inside_a_dictionary_is_refused():
    space = Dict({"a": Masked(Box(-1.0, 1.0, (2,)), 3)})
    with pytest.raises(ConfigError, match="Masked outermost"):
        array_spaces(space)


def test_a_stranger_among_spaces_is_refused():
    class Strange(Space):
        def sample(self, key):
            return jnp.zeros(())

        def contains(self, x):
            return jnp.array(True)

    with pytest.raises(ConfigError, match=r"Strange.* has no encoder: use a space of"):
        array_spaces(Dict({"a": Strange()}))


def test_the_parts_of_a_space_come_in_the_order_of_the_leaves():
    space = Masked(Dict({"b": Discrete(2), "a": Dict({"d": MultiBinary(1), "c": IMAGE})}), 3)
    assert array_spaces(space) == [IMAGE, MultiBinary(1), Discrete(2)]


def test_gradients_reach_every_parameter():
    space = Dict({"picture": Image(6, 6, 1), "n": Box(-1.0, 1.0, (2,))})
    encoder, obs = filled(Encoder, space, (6,)), space.sample(KEY)
    grads = jax.jit(jax.grad(lambda encoder: encoder(obs).sum()))(encoder)
    assert all((leaf != 0).any() for leaf in jax.tree.leaves(grads))
