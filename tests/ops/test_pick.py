"""Entries by their indices, one for each example, and where their gradients go."""

import jax
import jax.numpy as jnp
import numpy as np

from vibe_rl.ops.pick import pick

VALUES = jnp.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])  # of two actions at three observations
INDEX = jnp.array([1, 0, 1])


def test_each_column_gives_the_entry_of_its_own_index():
    np.testing.assert_array_equal(pick(VALUES, INDEX), [4.0, 2.0, 6.0])
    assert pick(VALUES[:, 0], jnp.int32(1)) == 4.0


def test_only_the_entries_that_were_picked_have_a_gradient():
    slope = jax.grad(lambda values: pick(values, INDEX).sum())(VALUES)
    np.testing.assert_array_equal(slope, [[0.0, 1.0, 0.0], [1.0, 0.0, 1.0]])
