"""Fields that vary, as the command line spells them: values, ranges, seeds."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vibe_rl.configs import Range, parse_axes, parse_seeds
from vibe_rl.configs.axes import split_range, split_values
from vibe_rl.errors import ConfigError

NUMBERS = st.floats(allow_nan=False) | st.integers() | st.none() | st.booleans()
SHAPES = st.lists(st.integers(1, 99), max_size=3).map(tuple)


@given(st.lists(NUMBERS | SHAPES | st.lists(SHAPES, min_size=1).map(tuple), min_size=1))
def test_commas_within_brackets_separate_no_values(values):
    assert split_values(",".join(map(str, values))) == [str(value) for value in values]


@pytest.mark.parametrize(
    ("word", "ends"),
    [
        ("1e-4:1e-2", ("1e-4", "1e-2")),
        ("-1:inf", ("-1", "inf")),
        ("1", None),
        ("1:", None),
        ("a:2", None),
        ("1:2:3", None),
    ],
)
def test_a_range_is_two_numbers_with_a_colon_between_them(word, ends):
    assert split_range(word) == ends


def test_words_become_a_config_values_and_ranges():
    words = "cartpole_ppo --algo.lr=1e-4:1e-2 --algo.n-epochs 1:8 --algo.hidden-sizes (8,),(8,16)"
    others = ["--algo.gamma", "0.9", "--runner.no_plot"]
    config, axes, shared = parse_axes([*words.split(), *others])
    assert axes == {
        "algo.lr": Range(1e-4, 1e-2),
        "algo.n_epochs": Range(1, 8),
        "algo.hidden_sizes": [(8,), (8, 16)],
    }
    assert isinstance(axes["algo.lr"], Range)
    assert (config.algo.gamma, config.runner.plot) == (0.9, False)
    assert shared == ["cartpole_ppo", *others]


def test_values_of_every_kind_are_what_the_command_line_makes_of_each():
    assert parse_axes(["cartpole_ppo", "--algo.normalize_obs", "true,false"])[1] == {
        "algo.normalize_obs": [True, False]
    }
    _, axes, shared = parse_axes(["cartpole_ppo", "--algo.hidden_sizes", "1", "2"])
    assert (axes, shared) == ({}, ["cartpole_ppo", "--algo.hidden_sizes", "1", "2"])


@pytest.mark.parametrize(
    ("low", "high", "log"),
    [(1e-4, 1e-2, True), (1e-4, 1e-3, True), (0.1, 0.4, False), (0.0, 1.0, False), (1, 64, True)],
)
def test_a_range_is_logarithmic_from_a_factor_of_ten_on_above_zero(low, high, log):
    assert Range(low, high).log == log


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            "--algo.lr 1,2 --algo.lr 3:4",
            "algo.lr is given twice: give all its values at once",
        ),
        ("--algo.lr 1,,2", "algo.lr '1,,2' has a comma without a value: remove it"),
        ("1:2", "'1:2' does not follow a field: write values as --algo.lr 1e-4,3e-4 and ranges"),
        ("--algo.lrr 1:2", "unknown field 'algo.lrr': did you mean algo.lr"),
    ],
)
def test_words_that_are_not_axes_are_refused(words, sentence):
    with pytest.raises(ConfigError, match=sentence):
        parse_axes(["cartpole_ppo", *words.split()])


def test_what_is_not_asked_for_is_left_to_the_fields_own_type():
    for words, kinds in (("--env_id a,b", {"values": False}), ("--env_id 1:2", {"ranges": False})):
        config, axes, _ = parse_axes(["cartpole_ppo", *words.split()], **kinds)
        assert (config.env_id, axes) == (words.split()[1], {})


@pytest.mark.parametrize(
    ("text", "seeds"), [("0:4", [0, 1, 2, 3]), ("3,5,7", [3, 5, 7]), ("0:2,9", [0, 1, 9])]
)
def test_seeds_are_ranges_and_lists(text, seeds):
    assert parse_seeds(text) == seeds


def test_a_range_of_seeds_that_is_empty_is_refused():
    with pytest.raises(ConfigError, match="seeds '3:1': give a range whose end is above"):
        parse_seeds("3:1")


def test_more_seeds_than_a_group_can_have_are_refused_before_they_are_listed():
    with pytest.raises(ConfigError, match="seeds '0:99999999999': give at most 100,000"):
        parse_seeds("0:99999999999")


@pytest.mark.parametrize("text", ["", "a", "a:b", "0:1:2", "0:1.5", f"0:{inf}"])
def test_other_texts_are_not_seeds(text):
    with pytest.raises(ConfigError, match="give a range such as 0:8 or a list such as 3,5,7"):
        parse_seeds(text)
