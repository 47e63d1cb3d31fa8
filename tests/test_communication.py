"""The check of `communication.py` finds what it is for, in programs known to be right or wrong."""

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from communication import unordered


def halved_together(x):
    """A loop in which devices meet on each turn, for its bound is of all of them."""
    return jax.lax.while_loop(lambda y: y.sum() > 1.0, lambda y: y / 2.0, x)


def halved_if_large(x):
    """A branch in which devices meet."""
    return jax.lax.cond(x.max() > 1.0, lambda y: y / y.sum(), lambda y: y, x)


def compiled(program):
    """The program for two arrays, each split over eight devices."""
    split = NamedSharding(jax.make_mesh((8,), ("d",)), PartitionSpec("d"))
    array = jax.ShapeDtypeStruct((16,), jnp.float32, sharding=split)
    return jax.jit(program).lower(array, array).compile()


@pytest.mark.parametrize("met", [halved_together, halved_if_large])
def test_a_sum_beside_a_loop_in_which_devices_meet_is_found(met):
    program = compiled(lambda x, y: (met(x), y.sum()))
    ((loop, total),) = unordered(program)
    assert loop.startswith(("while", "conditional"))
    assert total.startswith("all-reduce")


@pytest.mark.parametrize("met", [halved_together, halved_if_large])
def test_a_sum_that_reads_what_the_loop_gives_is_in_order(met):
    program = compiled(lambda x, y: (y * met(x)).sum())
    assert not unordered(program)


def test_a_sum_that_the_loop_reads_is_in_order():
    program = compiled(lambda x, y: halved_together(x * y.sum()))
    assert not unordered(program)


def test_two_loops_in_which_devices_meet_are_found_both_ways():
    program = compiled(lambda x, y: (halved_together(x), halved_together(y)))
    assert len(unordered(program)) == 2


def test_a_loop_in_which_no_devices_meet_may_run_beside_a_sum():
    alone = lambda x: jax.lax.fori_loop(0, 9, lambda _, y: jnp.sin(y), x)  # noqa: E731
    program = compiled(lambda x, y: (alone(x), y.sum()))
    assert not unordered(program)
