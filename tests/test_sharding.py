"""Meshes, shardings and placement, on several pretended devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from vibe_rl.errors import ConfigError
from vibe_rl.runner import (
    get_num_devices,
    replicate,
    replicate_on_mesh,
    shard_pytree,
    split_key_across_devices,
    unreplicate,
)
from vibe_rl.sharding import (
    activation_sharding_constraint,
    data_sharding,
    fsdp_sharding,
    make_mesh,
    replicate_sharding,
    set_mesh,
    wait_for,
)


@pytest.mark.parametrize(
    ("fsdp", "devices", "shape"), [(1, 8, (8, 1)), (2, 8, (4, 2)), (4, 4, (1, 4))]
)
def test_a_mesh_has_a_batch_axis_and_an_fsdp_axis(fsdp, devices, shape):
    mesh = make_mesh(fsdp, devices)
    assert mesh.axis_names == ("batch", "fsdp")
    assert mesh.devices.shape == shape
    assert make_mesh().size == jax.device_count() == 8


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((3, 8), "fsdp_devices 3 does not divide the 8 devices: choose a divisor"),
        ((1, 9), "num_devices 9, and there are 8: give 1 to 8, or set JAX_NUM_CPU_DEVICES=9"),
        ((1, 0), "num_devices 0, and there are 8"),
    ],
)
def test_a_mesh_that_cannot_be_is_refused(arguments, sentence):
    with pytest.raises(ConfigError, match=sentence):
        make_mesh(*arguments)
    with pytest.raises(ValueError, match="num_devices 99"):
        get_num_devices(99)
    assert get_num_devices() == get_num_devices(8) == 8


def test_batches_are_split_and_everything_else_is_everywhere():
    mesh = make_mesh(2)
    split = shard_pytree({"x": jnp.arange(16.0).reshape(16, 1)}, mesh)["x"]
    assert split.sharding == data_sharding(mesh)
    assert {shard.data.shape for shard in split.addressable_shards} == {(2, 1)}
    whole = replicate_on_mesh(jnp.arange(3.0), mesh)
    assert whole.sharding == replicate_sharding(mesh)
    assert {shard.data.shape for shard in whole.addressable_shards} == {(3,)}
    with pytest.raises(ConfigError, match=r"leaf \['x'\] of shape \(12,\) does not divide over 8"):
        shard_pytree({"x": jnp.zeros(12)}, mesh)
    with pytest.raises(ConfigError, match="does not divide"):
        shard_pytree(jnp.float32(0.0), mesh)


def test_large_matrices_are_split_along_their_longest_axis_that_divides():
    mesh = make_mesh(4)
    tree = {
        "large": jax.ShapeDtypeStruct((1024, 2048), jnp.float32),
        "odd": jax.ShapeDtypeStruct((1024, 2047), jnp.float32),
        "prime": jax.ShapeDtypeStruct((1031, 2053), jnp.float32),
        "just": jax.ShapeDtypeStruct((1024, 1024), jnp.float32),  # 4 MiB
        "below": jax.ShapeDtypeStruct((1024, 1020), jnp.float32),
        "vector": jax.ShapeDtypeStruct((2**22,), jnp.float32),
        "scalar": jax.ShapeDtypeStruct((), jnp.float32),
    }
    specs = jax.tree.map(lambda s: s.spec, fsdp_sharding(tree, mesh))
    whole = PartitionSpec()
    assert specs == {
        "large": PartitionSpec(None, "fsdp"),
        "odd": PartitionSpec("fsdp"),
        "prime": whole,
        "just": PartitionSpec("fsdp"),
        "below": whole,
        "vector": whole,
        "scalar": whole,
    }
    small = fsdp_sharding({"x": jnp.zeros((4, 4))}, mesh, min_size_mbytes=0.0)
    assert small["x"].spec == PartitionSpec("fsdp")
    unsplit = fsdp_sharding(tree, make_mesh(1))
    assert {s.spec for s in jax.tree.leaves(unsplit)} == {whole}


def test_activations_are_split_inside_jit():
    mesh = make_mesh(2)
    y = jax.jit(lambda x: activation_sharding_constraint(x * 2.0, mesh))(jnp.arange(8.0))
    assert y.sharding.is_equivalent_to(data_sharding(mesh), 1)
    with set_mesh(num_fsdp_devices=2, num_devices=4) as made:
        assert made.shape == {"batch": 2, "fsdp": 2}
    with set_mesh(mesh) as entered:
        assert entered is mesh
        z = jax.jit(lambda x: jax.lax.with_sharding_constraint(x, PartitionSpec("batch")))(y)
    assert z.tolist() == y.tolist()


@pytest.mark.parametrize("n_entries", [4, 8, 9])
def test_a_tree_is_replicated_and_taken_back(n_entries):
    tree = {"w": jnp.arange(6.0).reshape(2, 3), "key": jax.random.key(0), "n": 3}
    many = replicate(tree, n_entries)
    shapes = {"w": (n_entries, 2, 3), "key": (n_entries,), "n": (n_entries,)}
    assert jax.tree.map(jnp.shape, many) == shapes
    spread = n_entries <= 8  # else there are too few devices
    for leaf in jax.tree.leaves(many):
        shards = [shard.data.shape[0] for shard in leaf.addressable_shards]
        assert shards == ([1] * n_entries if spread else [n_entries])
    one = unreplicate(many)
    assert jax.random.key_data(one["key"]).tolist() == jax.random.key_data(tree["key"]).tolist()
    np.testing.assert_array_equal(one["w"], tree["w"])


def test_each_device_gets_a_key_of_its_own():
    keys = split_key_across_devices(jax.random.key(0), 8)
    assert keys.shape == (8,)
    assert len(np.unique(jax.random.key_data(keys), axis=0)) == 8
    assert split_key_across_devices(jax.random.PRNGKey(0), 8).shape == (8, 2)


@pytest.mark.parametrize("first", [1.0, jnp.nan, jnp.inf, 3])
def test_what_waits_is_not_changed(first):
    then = {"done": jnp.array([True, False]), "length": jnp.arange(3), "loss": jnp.array(jnp.nan)}
    result = jax.jit(wait_for)({"loss": jnp.array(first), "other": jnp.ones(2)}, then)
    jax.tree.map(np.testing.assert_array_equal, result, then)
    jax.tree.map(np.testing.assert_array_equal, wait_for({}, then), then)
