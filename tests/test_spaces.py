"""Spaces: every sample is a member, strangers are not, descriptions hash and compare."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vibe_rl.errors import ConfigError
from vibe_rl.spaces import (
    Box,
    Dict,
    Discrete,
    Image,
    Masked,
    MultiBinary,
    MultiDiscrete,
    map_spaces,
    map_views,
    static_bound,
    what_takes,
)
from vibe_rl.types import MaskedObs

KEYS = jax.random.split(jax.random.key(0), 64)
INF = np.inf
SPACES = [
    Discrete(5),
    MultiDiscrete((2, 7, 1)),
    MultiBinary(4),
    Box(-2.0, 3.0, (2, 3)),
    Box([-1.0, -INF, 0.0, -INF], [1.0, INF, INF, -5.0]),
    Box(-3.4e38, 3.4e38, (2,)),
    Box(0.1, 0.1, (3,)),
    Box(0, 255, (2, 2), jnp.uint8),
    Image(3, 4, 1),
    Dict({"b": Box(0.0, 1.0, ()), "a": Dict({"c": Discrete(2)})}),
    Masked(Box(0.0, 1.0, (3,)), 4),
]


@pytest.mark.parametrize("space", SPACES, ids=lambda space: type(space).__name__)
def test_every_sample_is_a_member(space):
    samples = jax.jit(jax.vmap(space.sample))(KEYS)
    assert jax.jit(jax.vmap(space.contains))(samples).all()


@pytest.mark.parametrize("space", SPACES, ids=lambda space: type(space).__name__)
def test_equal_spaces_hash_alike(space):
    twin = map_spaces(lambda part: part, space)
    assert space == twin
    assert hash(space) == hash(twin)


@settings(max_examples=15, deadline=None)
@given(
    low=st.floats(-1e6, 1e6, width=32),
    extent=st.floats(0, 1e6, width=32),
    seed=st.integers(0, 2**31 - 1),
)
def test_rounding_never_carries_a_sample_over_its_bounds(low, extent, seed):
    space = Box(low, np.float32(low) + np.float32(extent), (8,))
    assert space.contains(space.sample(jax.random.key(seed)))


@pytest.mark.parametrize(
    ("space", "stranger"),
    [
        (Discrete(3), jnp.int32(3)),
        (Discrete(3), jnp.int32(-1)),
        (Discrete(3), jnp.float32(1)),
        (Discrete(3), jnp.zeros(1, jnp.int32)),
        (MultiDiscrete((2, 3)), jnp.array([0, 3])),
        (MultiDiscrete((2, 3)), jnp.array([0, 1, 1])),
        (MultiBinary(2), jnp.array([0, 2])),
        (Box(0.0, 1.0, (2,)), jnp.array([0.5, 1.5])),
        (Box(0.0, 1.0, (2,)), jnp.array([0.5, jnp.nan])),
        (Box(0.0, 1.0, (2,)), jnp.array(0.5)),
        (Box(0.0, 1.0, (2,)), jnp.array([0, 1])),
        (Box(2**24 + 1, 2**24 + 3, (1,), np.int32), jnp.array([2**24])),
        (Box(2**24 + 1, 2**24 + 3, (1,), np.int32), jnp.array([2**24 + 4])),
        (Image(2, 2, 3), jnp.zeros((2, 2, 3))),
        (Image(2, 2, 3), jnp.zeros((2, 3, 2), jnp.uint8)),
        (Dict({"a": Discrete(2)}), {"b": jnp.int32(0)}),
        (Dict({"a": Discrete(2)}), {"a": jnp.int32(2)}),
        (Dict({"a": Discrete(2)}), jnp.int32(0)),
        (Masked(Discrete(2), 3), MaskedObs(jnp.int32(0), jnp.zeros(3, bool))),
        (Masked(Discrete(2), 3), MaskedObs(jnp.int32(0), jnp.ones(3))),
        (Masked(Discrete(2), 3), MaskedObs(jnp.int32(2), jnp.ones(3, bool))),
        (Masked(Discrete(2), 3), jnp.int32(0)),
    ],
)
def test_strangers_are_no_members(space, stranger):
    assert not space.contains(stranger)


def test_discrete_samples_are_uniform():
    counts = np.bincount(jax.vmap(Discrete(4).sample)(jax.random.split(KEYS[0], 4000)))
    np.testing.assert_allclose(counts / 4000, 0.25, atol=0.03)


def test_box_samples_fill_finite_bounds_and_are_normal_without():
    samples = jax.vmap(Box([-1.0, -INF], [3.0, INF]).sample)(jax.random.split(KEYS[1], 4000))
    np.testing.assert_allclose(samples.mean(0), [1.0, 0.0], atol=0.07)
    np.testing.assert_allclose(samples.std(0), [4 / np.sqrt(12), 1.0], rtol=0.05)


def test_a_box_knows_whether_it_is_bounded():
    assert Box(0.0, 1.0, (2,)).bounded
    assert not Box(0.0, [1.0, INF]).bounded


def test_bounds_of_a_box_are_broadcast_to_its_shape():
    box = Box(0.0, [1.0, 2.0])
    assert box.shape == (2,)
    np.testing.assert_array_equal(box.low, [0.0, 0.0])


def test_mapping_reaches_every_part_that_is_seen():
    space = Dict({"a": Masked(Box(0.0, 1.0, (2,)), 4), "b": Box(0.0, 1.0, (3,))})
    mapped = map_spaces(lambda part: Discrete(part.shape[0]), space)
    assert mapped == Dict({"a": Masked(Discrete(2), 4), "b": Discrete(3)})


def test_mapping_observations_keeps_the_masks_of_the_first():
    def observation(number):
        return {"a": MaskedObs(jnp.full(2, number), jnp.array([number > 1])), "b": jnp.ones(1)}

    mapped = map_views(jnp.add, observation(1.0), observation(2.0))
    np.testing.assert_array_equal(mapped["a"].view, [3.0, 3.0])
    np.testing.assert_array_equal(mapped["a"].legal, [False])
    np.testing.assert_array_equal(mapped["b"], [2.0])


def test_a_static_bound_is_the_largest_value_or_the_default_of_a_traced_one():
    bounds = []
    jax.jit(lambda x: bounds.append(static_bound(x, np.float32(2.0))))(1.0)
    assert bounds == [2.0]
    assert static_bound(np.float32([1.0, 3.0]), 2.0) == 3.0


@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [
        (0, 3, jnp.int32),
        (-1, 1, jnp.int32),
        (-3, -1, jnp.int16),
        (0, 1, jnp.uint8),
        (0, 255, jnp.uint8),
        (0, 1, bool),
    ],
)
def test_every_integer_of_a_box_is_drawn_and_no_other(low, high, dtype):
    space, n = Box(low, high, (1,), dtype), high - low + 1
    keys = jax.random.split(jax.random.key(0), 400 * n)
    drawn = jax.vmap(space.sample)(keys)
    assert drawn.dtype == dtype
    numbers, counts = np.unique(drawn, return_counts=True)
    np.testing.assert_array_equal(numbers, np.arange(low, high + 1).astype(dtype))
    assert counts.min() > 300
    assert jax.vmap(space.contains)(drawn).all()


@pytest.mark.parametrize("dtype", [jnp.int32, jnp.uint32, jnp.int64, jnp.float32, jnp.float16])
def test_the_last_number_of_a_type_is_no_bound(dtype):
    ends = np.iinfo(dtype) if np.dtype(dtype).kind in "iu" else np.finfo(dtype)
    space = Box(0, ends.max, (1,), dtype)
    assert not space.bounded
    assert space == Box(0, np.inf, (1,), dtype)


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [(np.float64, jnp.float32), (jnp.int64, jnp.int32), (np.uint64, jnp.uint32)],
)
def test_spaces_have_at_most_32_bits(wide, narrow):
    assert Box(0, 5, (2,), wide) == Box(0, 5, (2,), narrow)
    assert Box(0, 5, (2,), wide).sample(jax.random.key(0)).dtype == narrow
    if np.dtype(wide).kind in "iu":
        for kind in (partial(Discrete, 3), partial(MultiDiscrete, (2, 3)), partial(MultiBinary, 2)):
            assert kind(wide) == kind(narrow)
            assert hash(kind(wide)) == hash(kind(narrow))


@pytest.mark.parametrize(
    "space",
    [
        MultiBinary(9),
        MultiDiscrete((2, 300), jnp.uint32),
        Image(2, 3, 1),
        Box([0.0, 2.0, -np.inf, -np.inf], [1.0, np.inf, 2.0, np.inf]),
        Box([0, 2, -np.inf, -np.inf], [1, np.inf, 2, np.inf], dtype=jnp.int32),
        Dict({"a": Box(-5, 5, (2,), jnp.int16), "b": Masked(Discrete(7), 2)}),
    ],
    ids=lambda space: type(space).__name__,
)
def test_samples_are_the_same_in_64_bit_mode(space):
    expected = space.sample(KEYS[0])
    with jax.enable_x64(True):
        sample = space.sample(KEYS[0])
        assert space.contains(sample)
    for found, wanted in zip(*map(jax.tree.leaves, (sample, expected)), strict=True):
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)


def test_bytes_have_bounds():
    assert Box(0, 255, (1,), jnp.uint8).bounded


def test_samples_beyond_a_single_bound_are_exponential():
    keys = jax.random.split(jax.random.key(0), 2000)
    prices, debts = Box(20.0, np.inf, (1,)), Box(-np.inf, -20.0, (1,))
    for space, sign in ((prices, 1.0), (debts, -1.0)):
        beyond = sign * jax.vmap(space.sample)(keys) - 20.0
        assert (beyond > 0.0).all()
        np.testing.assert_allclose((beyond.mean(), beyond.std()), 1.0, atol=0.1)


def test_integers_without_bounds_are_whole():
    space = Box(-np.inf, np.inf, (1000,), jnp.int32)
    drawn = np.unique(space.sample(jax.random.key(0)))
    np.testing.assert_array_equal(drawn, np.arange(drawn[0], drawn[-1] + 1))


@pytest.mark.parametrize(("low", "high"), [(1.0, 0.0), (np.nan, 1.0), (0.0, np.nan)])
def test_bounds_that_hold_nothing_are_refused(low, high):
    with pytest.raises(ConfigError, match="the lower first"):
        Box(low, high, (2,))


@pytest.mark.parametrize(
    "space", [partial(Discrete, 0), partial(Discrete, -1), partial(MultiDiscrete, (2, 0))]
)
def test_choices_are_counted_in_whole_numbers(space):
    with pytest.raises(ConfigError, match=r"Discrete\(.*\): give whole numbers of at least 1"):
        space()


@pytest.mark.parametrize(
    ("space", "sentence"),
    [
        (partial(Discrete, 2**31), "give whole numbers of at most 2147483647"),
        (partial(Discrete, 300, jnp.uint8), "give a dtype of integers that holds them"),
        (partial(Discrete, 2, bool), "give a dtype of integers that holds them"),
        (partial(MultiDiscrete, ()), r"MultiDiscrete of \(\): give a tuple"),
        (partial(Image, 4, -4, 1), "give whole numbers of at least 1"),
        (partial(Box, 2**32 + 5, 2**32 + 9, (1,), np.int64), "int32: give numbers it holds"),
        (partial(Box, 0, 1, (-1,)), r"shape \(-1,\): give numbers, and a shape of ints"),
        (partial(Box, "a", 1, (1,)), "Box from 'a' to 1"),
        (partial(Box, 0, 1, (1,), complex), "give one of real numbers"),
        (partial(Box, 0, 1, (1,), "nope"), "dtype nope of a space"),
        (partial(Dict, {}), "Dict of no spaces: give one"),
    ],
)
def test_a_space_that_no_array_can_have_is_refused(space, sentence):
    with pytest.raises(ConfigError, match=sentence):
        space()


@pytest.mark.parametrize(
    ("box", "whole"),
    [
        (Box(0.5, 3.5, (1,), jnp.int32), (1, 3)),
        (Box(-1, 300, (1,), jnp.uint8), (0, 255)),
        (Box(-5, 5, (1,), bool), (0, 1)),
    ],
)
def test_bounds_of_whole_numbers_are_whole_and_such_as_their_type_holds(box, whole):
    assert (int(box.low[0]), int(box.high[0])) == whole
    drawn = jax.vmap(box.sample)(jax.random.split(jax.random.key(0), 100))
    assert jax.vmap(box.contains)(drawn).all()


@pytest.mark.parametrize("nvec", [[2, 3], np.array([2, 3])])
def test_choices_in_a_list_or_an_array_are_a_tuple(nvec):
    space = object.__new__(MultiDiscrete)  # past the tests' own checks of arguments
    object.__setattr__(space, "nvec", nvec)
    space.__post_init__()
    assert space == MultiDiscrete((2, 3))


def test_a_box_takes_the_length_of_a_vector_for_its_shape():
    assert Box(0, 1, 2) == Box(0, 1, (2,))


@pytest.mark.parametrize(
    ("space", "shown"),
    [
        (Discrete(3), "Discrete(3)"),
        (MultiDiscrete((2, 3), jnp.uint8), "MultiDiscrete((2, 3), uint8)"),
        (Image(84, 84, 3), "Image(84, 84, 3)"),
        (Box(0, 255, (84, 84, 3), jnp.uint8), "Box(0, 255, (84, 84, 3), uint8)"),
        (Box([0.0, -1.0], [1.0, np.inf]), "Box((0, -1), (1, inf), (2,), float32)"),
    ],
)
def test_a_space_is_shown_in_a_few_words(space, shown):
    assert repr(space) == shown


def test_a_space_of_pictures_with_many_bounds_is_still_shown_in_a_line():
    assert len(repr(Box(np.zeros((84, 84)), np.arange(84.0 * 84).reshape(84, 84)))) < 100


@pytest.mark.parametrize(
    ("space", "remedy"),
    [
        (Box(-1.0, 1.0, (2,)), "use SAC or PPO"),
        (Box(0.0, INF, (2,)), "use PPO"),
        (Box(-1.0, 1.0, (2, 2)), "flatten them"),
        (MultiBinary(3), "use PPO"),
        (Dict({"a": Discrete(2)}), "make them Discrete, or a Box with one axis"),
    ],
)
def test_the_remedy_for_actions_names_what_takes_them(space, remedy):
    assert what_takes(space) == remedy


def test_a_space_of_many_parts_is_shown_in_a_line():
    many = Dict({f"part_{i}": Box(0.0, 1.0, (2,)) for i in range(50)})
    for space in (many, Masked(many, 3), MultiDiscrete((2,) * 500)):
        assert len(repr(space)) < 150
