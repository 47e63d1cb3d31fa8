"""Grids: from axes to settings with names."""

from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vibe_rl.configs import PRESETS, Range
from vibe_rl.errors import ConfigError
from vibe_rl.experiment.grid import expand_grid, setting_name

CONFIG = PRESETS["cartpole_ppo"][1]
NUMBERS = st.floats(allow_nan=False) | st.integers() | st.none() | st.booleans()
SHAPES = st.lists(st.integers(1, 99), max_size=3).map(tuple)
VALUES = NUMBERS | SHAPES | st.lists(SHAPES, max_size=3).map(tuple) | st.text(max_size=8)


@given(VALUES, VALUES)
def test_the_name_of_a_setting_is_one_for_a_file(first, second):
    name = setting_name({"algo.lr": first, "algo.hidden_sizes": second})
    assert not set(name) & set("<>:\"/\\|?*' \n\t\0")
    assert name.startswith("lr=")
    assert name.rpartition(",hidden_sizes=")[1]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e-5, "1e-05"),
        (0.00025, "0.00025"),
        (inf, "inf"),
        (None, "None"),
        (True, "True"),
        ((64, 64), "64x64"),
        ((), "none"),
        (((16, 8, 4), (32, 4, 2)), "16x8x4-32x4x2"),
        ("tanh", "tanh"),
    ],
)
def test_values_in_names_are_as_one_writes_them(value, text):
    assert setting_name({"algo.x": value}) == f"x={text}"


def test_settings_are_all_combinations_and_the_last_axis_varies_fastest():
    axes = {"algo.lr": np.logspace(-3, -2, 2), "algo.hidden_sizes": [[8], [8, 16]]}
    settings = expand_grid(CONFIG, axes)
    assert [setting.name for setting in settings] == [
        "lr=0.001,hidden_sizes=8",
        "lr=0.001,hidden_sizes=8x16",
        "lr=0.01,hidden_sizes=8",
        "lr=0.01,hidden_sizes=8x16",
    ]
    assert settings[3].values == {"algo.lr": 0.01, "algo.hidden_sizes": (8, 16)}
    assert settings[3].config.algo.hidden_sizes == (8, 16)
    assert settings[3].config.runner == CONFIG.runner


def test_a_whole_number_for_a_field_of_floats_is_a_float():
    (setting,) = expand_grid(CONFIG, {"algo.lr_end": [0]})
    assert type(setting.config.algo.lr_end) is float
    (setting,) = expand_grid(CONFIG, {"algo.n_epochs": [2]})
    assert type(setting.config.algo.n_epochs) is int


@pytest.mark.parametrize(
    ("axes", "sentence"),
    [
        ({}, "no field has several values: name some"),
        ({"algo.lr": []}, "algo.lr has no value"),
        ({"algo.lr": Range(1e-4, 1e-2)}, "algo.lr 0.0001:0.01 is a range: give it single values"),
        ({"algo.lr": [1e-3, 0.001]}, "algo.lr 0.001 is given twice"),
        ({"algo.hidden_sizes": [(8,), [8]]}, r"algo.hidden_sizes \(8,\) is given twice"),
        ({"algo.lrr": [1e-3]}, "unknown field 'algo.lrr': did you mean algo.lr"),
        ({"runner.total_timesteps": [1, 2]}, "runner.total_timesteps has several values, and only"),
        ({"env_kwargs": [{}]}, "env_kwargs has several values, and only fields of algo may"),
    ],
)
def test_axes_that_make_no_grid_are_refused(axes, sentence):
    with pytest.raises(ConfigError, match=sentence):
        expand_grid(CONFIG, axes)
