"""Environments by name, and what is said about names and arguments that do not exist."""

import numpy as np
import pytest

from vibe_rl.env import CartPole, GridWorld, PixelGridWorld, make, names, register, registry
from vibe_rl.errors import ConfigError


@pytest.fixture
def empty_table(monkeypatch):
    monkeypatch.setattr(registry, "_registry", {"CartPole-v1": CartPole})


def test_make_gives_the_environment_and_its_default_parameters():
    env, params = make("CartPole-v1")
    assert env == CartPole()
    assert params == CartPole().default_params()


def test_arguments_of_the_class_fix_the_shape():
    env, _ = make("PixelGridWorld-v0", size=7, cell_px=2)
    assert env == PixelGridWorld(7, cell_px=2)


def test_numbers_replace_parameters_in_the_dtype_of_the_default():
    _, params = make("CartPole-v1", gravity=2, max_steps=100.0)
    assert params.gravity == 2.0
    assert params.gravity.dtype == np.float32
    assert params.max_steps == 100
    assert params.max_steps.dtype == np.int32


def test_both_kinds_of_argument_can_be_given_at_once():
    env, params = make("GridWorld-v0", size=3, max_steps=9)
    assert (env, params.max_steps) == (GridWorld(3), 9)


def test_a_parameter_may_be_an_array_over_envs():
    _, params = make("CartPole-v1", gravity=[1, 2, 3])
    np.testing.assert_array_equal(params.gravity, np.float32([1, 2, 3]))


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"max_steps": 1.5}, r"max_steps=1.5 of CartPole-v1: give a whole number"),
        ({"max_steps": "many"}, r"max_steps='many' of CartPole-v1: give a whole number"),
        ({"max_steps": 2**40}, r"max_steps=1099511627776 of CartPole-v1: give one that 32 bits ho"),
        ({"max_steps": 0}, r"max_steps=0 of CartPole-v1: give at least 1"),
        ({"length": [0.5, -1]}, r"length=\[0.5, -1\] of CartPole-v1: give more than 0"),
        ({"gravity": float("nan")}, r"gravity=nan of CartPole-v1: give a number"),
        ({"gravity": "strong"}, r"gravity='strong' of CartPole-v1: give a number"),
        ({"gravty": 1.0}, r"unknown argument of CartPole-v1 'gravty': did you mean gravity"),
    ],
)
def test_a_wrong_argument_is_named(kwargs, message):
    with pytest.raises(ConfigError, match=message):
        make("CartPole-v1", **kwargs)


@pytest.mark.parametrize("name", ["CartPole-v2", "gymnasium:Unknown-v0"])
def test_an_unknown_environment_is_a_key_error_without_quotes(name):
    with pytest.raises(KeyError) as caught:
        make(name)
    assert isinstance(caught.value, ConfigError)
    assert str(caught.value) == caught.value.args[0]


def test_an_unknown_environment_is_answered_with_the_nearest_names():
    with pytest.raises(ConfigError, match=r"unknown environment 'CartPole-v2'.*CartPole-v1"):
        make("CartPole-v2")


@pytest.mark.usefixtures("empty_table")
def test_a_registered_class_can_be_made():
    register("Room-v0", GridWorld)
    assert make("Room-v0", size=4)[0] == GridWorld(4)
    assert names() == ("CartPole-v1", "Room-v0")


@pytest.mark.usefixtures("empty_table")
def test_a_name_can_be_registered_again_for_the_same_class_only():
    register("CartPole-v1", CartPole)
    with pytest.raises(ConfigError, match="registered already"):
        register("CartPole-v1", GridWorld)


@pytest.mark.usefixtures("empty_table")
def test_parameters_of_any_kind_are_passed_on_as_they_are():
    class Bare(GridWorld):
        def default_params(self):
            return {"max_steps": np.int32(3)}

    register("Bare-v0", Bare)
    assert make("Bare-v0", size=3)[1] == {"max_steps": 3}
    with pytest.raises(ConfigError, match="unknown argument of Bare-v0"):
        make("Bare-v0", max_steps=5)
