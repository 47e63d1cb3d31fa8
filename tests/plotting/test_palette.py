import re
from itertools import combinations

import numpy as np
import pytest

from vibe_rl.errors import ConfigError
from vibe_rl.plotting import DEEPMIND, color_for, get_colors, reset_palette, set_palette

# Linear RGB as seen without red, green or blue cones: Machado, Oliveira, Fernandes 2009.
SIGHT = {
    "full": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = np.array([0.9505, 1.0, 1.089])


def lab(color, sight):
    """CIE L*a*b* of a hex colour as seen by `sight`."""
    srgb = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(np.array(SIGHT[sight]) @ linear, 0, 1) / WHITE
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.fixture(autouse=True)
def palette():
    yield
    reset_palette()


def test_there_are_ten_different_hex_colours():
    assert len(set(DEEPMIND)) == 10
    assert all(re.fullmatch(r"#[0-9A-F]{6}", color) for color in DEEPMIND)


@pytest.mark.parametrize("sight", SIGHT)
def test_any_two_colours_stay_apart_for_every_kind_of_sight(sight):
    """A distance of 2.3 is just noticeable (CIE 1976)."""
    seen = [lab(color, sight) for color in DEEPMIND]
    assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > 15


@pytest.mark.parametrize("color", DEEPMIND)
def test_every_colour_stands_out_on_white(color):
    assert lab(color, "full")[0] < 80


def test_colours_start_again_after_the_last():
    assert color_for(0) == color_for(10) == DEEPMIND[0]
    assert get_colors() == list(DEEPMIND)
    assert get_colors(11) == [*DEEPMIND, DEEPMIND[0]]


def test_a_palette_can_be_replaced_and_reset():
    set_palette(["black", "#FF0000"])
    assert get_colors(3) == ["black", "#FF0000", "black"]
    reset_palette()
    assert color_for(1) == DEEPMIND[1]


def test_an_empty_palette_is_refused():
    with pytest.raises(ConfigError, match="no colours"):
        set_palette([])
