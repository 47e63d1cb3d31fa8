import numpy as np
import pytest

from vibe_rl.analysis.aggregate import aggregate_strata
from vibe_rl.errors import ConfigError
from vibe_rl.plotting import DEEPMIND, plot_comparison

SCORES = {
    "ppo": [np.array([1.0, 2.0, 3.0, 4.0])],
    "dqn": [np.array([2.0, 2.0, 5.0])],
}


def fractions(axes, i, threshold):
    """The height of the i-th profile at a threshold."""
    x, y = (np.asarray(data) for data in axes.lines[i].get_data())
    return y[np.searchsorted(x, threshold, side="right") - 1]


@pytest.mark.parametrize(
    ("method", "threshold", "fraction"),
    [(0, 0.95, 1), (0, 2.5, 0.5), (0, 4.5, 0), (1, 2.5, 1 / 3), (1, 4.5, 1 / 3), (1, 5.1, 0)],
)
def test_profiles_are_the_fraction_of_seeds_above_a_threshold(method, threshold, fraction):
    left, _ = plot_comparison(SCORES).axes
    assert fractions(left, method, threshold) == pytest.approx(fraction)


def test_profiles_are_steps_with_a_band_each_from_below_all_to_above_all():
    left, _ = plot_comparison(SCORES).axes
    assert len(left.collections) == 2
    for line, color in zip(left.lines, DEEPMIND[:2], strict=True):
        assert line.get_drawstyle() == "steps-post"
        assert line.get_color() == color
        assert (line.get_ydata()[0], line.get_ydata()[-1]) == (1, 0)


def test_means_stand_in_order_from_above_with_their_intervals():
    _, right = plot_comparison(SCORES).axes
    bar, dot, *_ = right.lines
    found = aggregate_strata(SCORES["ppo"])
    np.testing.assert_allclose(bar.get_xdata(), [found.low, found.high])
    np.testing.assert_allclose(dot.get_xdata(), [found.iqm])
    assert [line.get_ydata()[0] for line in right.lines] == [0, 0, 1, 1]
    assert right.get_ylim() == (1.5, -0.5)


def test_the_words_say_what_is_drawn():
    figure = plot_comparison(SCORES, title="CartPole-v1")
    left, right = figure.axes
    assert left.get_title(loc="left") == "CartPole-v1"
    assert left.get_xlabel() == "Eval return τ"
    assert right.get_xlabel() == "IQM of eval return, 95 % interval"
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["ppo", "dqn"]


def test_equal_scores_of_single_seeds_can_be_drawn(tmp_path):
    path = tmp_path / "a" / "equal.svg"
    plot_comparison({"a": [np.zeros(1)], "b": [np.zeros(1)]}, save_path=path)
    assert path.stat().st_size > 1000


def test_no_scores_are_refused():
    with pytest.raises(ConfigError, match="scores are empty"):
        plot_comparison({})
