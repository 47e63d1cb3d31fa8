"""The straight Threefry gives what JAX's own gives, bit for bit, however it is called."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vibe_rl.checkpoint import load_checkpoint, save_checkpoint
from vibe_rl.errors import ConfigError
from vibe_rl.ops import prng
from vibe_rl.sharding import data_sharding, make_mesh

SHAPES = [(), (1,), (7,), (16, 15), (256,), (3, 100)]  # from 8 on in a loop


def data(key):
    return np.asarray(jax.random.key_data(key))


@pytest.mark.parametrize("seed", [0, 1, 2**31 - 1, 123456789])
def test_keys_are_those_of_jax(seed):
    ours, theirs = prng.key(seed), jax.random.key(seed)
    np.testing.assert_array_equal(data(ours), data(theirs))
    np.testing.assert_array_equal(
        data(jax.random.split(ours, 5)), data(jax.random.split(theirs, 5))
    )
    np.testing.assert_array_equal(
        data(jax.random.fold_in(ours, 77)), data(jax.random.fold_in(theirs, 77))
    )


def test_an_accelerator_gets_the_implementation_of_jax_and_the_same_numbers(monkeypatch):
    here = prng.key(7)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    there = prng.key(7)
    assert jax.random.key_impl(there) == "threefry2x32"
    assert jax.random.key_impl(here) != jax.random.key_impl(there)
    np.testing.assert_array_equal(data(here), data(there))
    np.testing.assert_array_equal(jax.random.normal(here, (300,)), jax.random.normal(there, (300,)))


def test_what_is_drawn_once_is_the_same_by_smaller_code_and_so_are_its_keys():
    def draw(key):
        first, second = jax.random.split(key)
        return jax.random.normal(first, (5,)), second, 0

    def drawn_once(key):
        return prng.drawn_once(draw, key)

    numbers, key, zero = jax.jit(drawn_once)(prng.key(3))
    expected_numbers, expected_key, _ = draw(prng.key(3))
    np.testing.assert_array_equal(numbers, expected_numbers)
    assert (zero, key.dtype) == (0, expected_key.dtype)
    np.testing.assert_array_equal(data(key), data(expected_key))
    lengths = [len(jax.jit(f).lower(key).as_text()) for f in (drawn_once, draw)]
    assert lengths[0] < lengths[1]


def test_what_was_saved_with_one_implementation_is_loaded_with_the_other(tmp_path, monkeypatch):
    here = prng.key(7)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    there = prng.key(0)
    for saved, like in ((here, there), (there, here)):
        save_checkpoint(tmp_path, {"key": saved}, step=int(saved is there))
        loaded = load_checkpoint(tmp_path, {"key": like}, step=int(saved is there))["key"]
        assert jax.random.key_impl(loaded) == jax.random.key_impl(like)
        np.testing.assert_array_equal(data(loaded), data(saved))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [jnp.uint8, jnp.uint16, jnp.uint32])
def test_bits_of_any_number_and_width_are_those_of_jax(shape, dtype):
    ours = jax.random.bits(prng.key(3), shape, dtype)
    np.testing.assert_array_equal(ours, jax.random.bits(jax.random.key(3), shape, dtype))


@pytest.mark.parametrize("draw", [jax.random.normal, jax.random.uniform, jax.random.gumbel])
def test_distributions_are_those_of_jax_inside_jit_and_vmap(draw):
    def many(key):
        return jax.jit(jax.vmap(lambda k: draw(k, (300,))))(jax.random.split(key, 4))

    np.testing.assert_array_equal(many(prng.key(5)), many(jax.random.key(5)))


def test_what_is_computed_once_is_the_same_for_every_key():
    for seed in range(4):
        key = jax.random.key_data(prng.key(seed))
        np.testing.assert_array_equal(prng.once(lambda key=key: key * 2), key * 2)


def test_noise_read_in_two_places_is_generated_in_one():
    def twice(key):
        noise = jax.random.normal(key, (512,))
        return jnp.sort(noise), jnp.cumsum(noise**2)[::-1]

    straight = jax.jit(twice).lower(prng.key(0)).compile().as_text()
    assert straight.count(" while(") == 1


def test_devices_draw_from_keys_of_their_own_without_a_word_between_them():
    def draw(key):
        noise = jax.random.normal(key, (512,))
        return jnp.sort(noise).sum() + (noise**2).max()

    sharding = data_sharding(make_mesh())
    keys = jax.device_put(jax.random.split(prng.key(0), 16), sharding)
    text = jax.jit(jax.vmap(draw), out_shardings=sharding).lower(keys).compile().as_text()
    assert " while(" in text
    assert "all-" not in text


@pytest.mark.parametrize(("a", "b"), [(0, 2**32), (7, 2**40 + 7), (2**32 - 1, 2**64 - 1)])
def test_seeds_differ_in_all_of_their_64_bits(a, b):
    assert (data(prng.key(a)) != data(prng.key(b))).any()
    np.testing.assert_array_equal(data(prng.key(b)), [b >> 32, b % 2**32])


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_seeds_of_other_bits_are_refused(seed):
    with pytest.raises(ConfigError, match=rf"seed {seed}: give a whole number from 0 to 2\^64 - 1"):
        prng.key(seed)


def test_keys_can_be_pickled():
    key = prng.key(3)
    again = pickle.loads(pickle.dumps(key))
    assert jax.random.key_impl(again) == jax.random.key_impl(key)
    np.testing.assert_array_equal(jax.random.bits(again), jax.random.bits(key))
