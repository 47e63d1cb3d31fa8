import numpy as np
import pytest

from vibe_rl.errors import ConfigError
from vibe_rl.plotting import smooth_ema, smooth_window
from vibe_rl.plotting.smooth import windows


def test_a_window_takes_means_and_repeats_the_edges():
    y = np.array([0.0, 3.0, 6.0, 0.0])
    # radius 1: (0+0+3)/3, (0+3+6)/3, (3+6+0)/3, (6+0+0)/3
    np.testing.assert_allclose(smooth_window(y, 1), [1.0, 3.0, 3.0, 2.0])


def test_a_window_may_be_wider_than_the_curve():
    # radius 3 around index 0 sees 1 1 1 [1] 3 3 3 = 13/7, around index 1 1 1 1 [3] 3 3 3 = 15/7
    np.testing.assert_allclose(smooth_window(np.array([1.0, 3.0]), 3), [13 / 7, 15 / 7])


def test_an_exponential_mean_weighs_the_new_value_by_its_span():
    # span 3: alpha = 2/4; 8, then (0 + 8)/2 = 4, then (2 + 4)/2 = 3
    np.testing.assert_allclose(smooth_ema(np.array([8.0, 0.0, 2.0]), 3), [8.0, 4.0, 3.0])


@pytest.mark.parametrize(("smooth", "width"), [(smooth_window, 0), (smooth_ema, 1)])
def test_no_smoothing_returns_a_copy_of_the_curve(smooth, width):
    y = np.array([1.0, 5.0, 2.0])
    result = smooth(y, width)
    np.testing.assert_array_equal(result, y)
    assert result is not y


@pytest.mark.parametrize(("smooth", "width"), [(smooth_window, 4), (smooth_ema, 4)])
def test_a_constant_curve_and_an_empty_one_stay_as_they_are(smooth, width):
    np.testing.assert_allclose(smooth(np.full(6, 2.5), width), 2.5)
    assert smooth(np.empty(0), width).shape == (0,)


@pytest.mark.parametrize(("smooth", "width"), [(smooth_window, -1), (smooth_ema, 0)])
def test_a_width_that_means_nothing_is_refused(smooth, width):
    with pytest.raises(ConfigError, match="smooth"):
        smooth(np.zeros(3), width)


def test_windows_are_every_few_values_in_a_row():
    np.testing.assert_array_equal(windows(np.arange(4.0), 3), [[0, 1, 2], [1, 2, 3]])
    assert windows(np.arange(2.0), 3).shape == (0, 3)


def test_an_empty_window_is_refused():
    with pytest.raises(ConfigError, match="window of 0"):
        windows(np.zeros(3), 0)
