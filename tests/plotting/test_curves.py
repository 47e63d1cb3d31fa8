import numpy as np
import pytest

from vibe_rl.analysis.aggregate import aggregate
from vibe_rl.errors import ConfigError
from vibe_rl.plotting import PlotConfig
from vibe_rl.plotting.curves import (
    Curve,
    algorithm_of,
    band,
    curve_of,
    read_curves,
    smooth_curve,
    smooth_radius,
)


def curve(x, y):
    return Curve(np.array(x, float), np.array(y, float))


def spread_of(band):
    assert band.low is not None
    np.testing.assert_allclose(band.high - band.middle, band.middle - band.low)
    return band.high - band.middle


def test_rows_without_the_key_or_with_null_are_skipped():
    rows = [
        {"step": 1},
        {"step": 2, "episode_return": None},
        {"episode_return": 9.0},
        {"step": 3, "episode_return": 7},
        {"step": 4, "episode_return": "text"},
    ]
    x, y = curve_of(rows, "step", "episode_return")
    np.testing.assert_array_equal(x, [3.0])
    np.testing.assert_array_equal(y, [7.0])


def test_a_resumed_run_counts_the_last_row_of_each_step():
    rows = [{"step": s, "r": r} for s, r in [(1, 1.0), (2, 2.0), (3, 9.0), (2, 5.0), (3, 6.0)]]
    x, y = curve_of(rows, "step", "r")
    np.testing.assert_array_equal(x, [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(y, [1.0, 5.0, 6.0])


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({"algorithm": "ppo"}, "ppo"),
        ({"algorithm": "ppo", "algo": {"name": "other"}}, "ppo"),
        ({"algo": "dqn"}, "dqn"),
        ({"algo": {"name": "sac", "lr": 1}}, "sac"),
        ({"algo": {"algorithm": "sac"}}, "sac"),
        ({"algo_name": "td3"}, "td3"),
        ({"algo": {"lr": 1e-3, "hidden_sizes": [64, 64]}}, None),
        ({"algorithm": {"config": {"lr": 1}}}, None),
        ({"algorithm": 3}, None),
        ({}, None),
    ],
)
def test_the_algorithm_is_a_name_and_never_a_section(config, name):
    assert algorithm_of(config) == name


def test_a_long_name_is_cut():
    assert len(algorithm_of({"algorithm": "x" * 500}) or "") == 48


def test_a_band_is_the_mean_and_the_sample_deviation():
    x = [0, 1]
    result = band([curve(x, [1, 4]), curve(x, [3, 4]), curve(x, [5, 4])])
    np.testing.assert_array_equal(result.x, x)
    np.testing.assert_allclose(result.middle, [3, 4])
    np.testing.assert_allclose(spread_of(result), [2, 0])  # sqrt((4 + 0 + 4) / 2)


def test_the_standard_error_is_the_deviation_over_the_root_of_the_runs():
    result = band([curve([0], [1]), curve([0], [3])], "stderr")
    np.testing.assert_allclose(spread_of(result), [1.0])  # sqrt(2) / sqrt(2)


def test_a_band_covers_only_the_steps_all_runs_share():
    result = band([curve([0, 10, 20], [0, 10, 20]), curve([5, 15], [5, 15])])
    np.testing.assert_allclose(result.x, [5, 10, 15])  # as many points as the longest
    np.testing.assert_allclose(result.middle, [5, 10, 15])
    np.testing.assert_allclose(spread_of(result), 0, atol=1e-12)


def test_runs_without_a_shared_step_are_refused():
    with pytest.raises(ConfigError, match='group_by="none"'):
        band([curve([0, 1], [0, 0]), curve([2, 3], [0, 0])])


@pytest.mark.parametrize(("curves", "shaded"), [(1, "std"), (1, "iqm"), (2, "none")])
def test_one_run_or_no_wish_means_no_spread(curves, shaded):
    result = band([curve([0, 1], [0, 1])] * curves, shaded)
    assert (result.low, result.high) == (None, None)


def test_the_interquartile_mean_leaves_out_the_outer_quarters():
    result = band([curve([0, 1], [y, 7]) for y in (0, 1, 3, 100)], "iqm")
    np.testing.assert_allclose(result.middle, [2, 7])  # (1 + 3) / 2
    found = aggregate([0.0, 1.0, 3.0, 100.0])
    np.testing.assert_allclose(result.low, [found.low, 7], atol=0.5)  # fewer resamples
    np.testing.assert_allclose(result.high, [found.high, 7], rtol=0.1)


@pytest.mark.parametrize(("points", "radius"), [(10, 0), (100, 2), (5000, 10)])
def test_the_smoothing_suits_the_number_of_points(points, radius):
    assert smooth_radius(curve(range(points), range(points)), PlotConfig()) == radius


def test_both_ways_of_smoothing_keep_the_steps():
    noisy = curve([0, 2, 4], [0, 3, 0])
    window = smooth_curve(noisy, PlotConfig(smooth_radius=1))
    ema = smooth_curve(noisy, PlotConfig(smooth_radius=1, smooth_mode="ema"))
    np.testing.assert_allclose(window.y, [1, 1, 1])
    np.testing.assert_allclose(ema.y, [0, 1.5, 0.75])  # span 3, alpha 1/2
    np.testing.assert_array_equal(window.x, noisy.x)


def test_a_loose_file_is_named_after_itself(tmp_path):
    path = tmp_path / "baseline.jsonl"
    path.write_text('{"step": 1, "episode_return": 2.0}\n')
    run = read_curves(path, "step", "episode_return")
    assert (run.label, run.env_id) == ("baseline", "")


@pytest.mark.parametrize("setting", [{"smooth_mode": "mean"}, {"shaded": "minmax"}])
def test_a_plot_config_refuses_unknown_words(setting):
    with pytest.raises(ConfigError, match="choose"):
        PlotConfig(**setting)


def test_a_band_of_long_curves_has_no_more_points_than_can_be_seen():
    x = np.arange(5000.0)
    found = band([Curve(x, x), Curve(x, x + 2)], "std")
    assert len(found.x) == 2000
    np.testing.assert_allclose(found.x[[0, -1]], [0.0, 4999.0])
    np.testing.assert_allclose(found.middle, found.x + 1)
