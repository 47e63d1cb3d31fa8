import gc
import sys
import weakref
from itertools import cycle
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from vibe_rl.errors import ConfigError, UnwritableError
from vibe_rl.trainers.ppo_trainer.figures.heat_maps import (
    hyperparameter_heatmap,
    policy_distribution,
)
from vibe_rl.trainers.ppo_trainer.figures.result_panels import norms_by_part
from vibe_rl.trainers.ppo_trainer.figures.training import (
    FIGURES,
    advanced_learning_curves,
    episode_progress,
    episode_statistics,
    gradient_flow,
    kl_divergence,
    loss_curves,
    save_figures,
    training_progress,
    training_stability,
    training_summary,
)

SETTINGS = {"target_reward": 33.5, "convergence_window": 20, "target_kl": 0.02, "hidden": (64, 64)}
LAYERS = ("actor.0.weight", "policy.bias", "critic.0.weight", "value.bias")


def results_of(n, **changes):
    """Results of `n` episodes: rewards 1, 2, ... n, and an update for each."""
    rising = np.arange(1.0, n + 1)
    at = [int(x) for x in rising[4::5]]
    names = ("policy_loss", "value_loss", "entropy_loss", "total_loss")
    return {
        "total_episodes": n,
        "total_steps": 10 * n,
        "training_time": 1.25,
        "final_avg_reward": float(n),
        "final_std_reward": 0.5,
        "best_avg_reward": None,
        "converged": False,
        "reached_target": False,
        "episode_rewards": rising.tolist(),
        "episode_lengths": [10] * n,
        "eval_rewards": [2.0 * x for x in at],
        "eval_stds": [1.0] * len(at),
        "eval_episodes_at": at,
        "losses": {name: (rising / (i + 1)).tolist() for i, name in enumerate(names)},
        "kl_divergences": (0.001 * rising).tolist(),
        "gradient_norms": {name: rising.tolist() for name in LAYERS},
    } | changes


def panel(figure, title):
    return next(axes for axes in figure.axes if axes.get_title(loc="left") == title)


def drawn(axes, label):
    """The points of the line that the legend calls `label`."""
    (found,) = [line for line in axes.lines if line.get_label() == label]
    return tuple(np.asarray(data, np.float64) for data in found.get_data())


def words_of(axes):
    return {text.get_text() for text in axes.texts}


def cells(axes):
    (table,) = axes.tables
    return {place: cell.get_text().get_text() for place, cell in table.get_celld().items()}


def without_some(row):
    """The numbers with every second of them missing, in each way that a number can be."""
    gaps = cycle([None, float("nan"), float("inf")])
    return [next(gaps) if i % 2 else value for i, value in enumerate(row)]


@pytest.fixture
def _not_laid_out(monkeypatch):
    """For tests of what is on a figure; that it can be drawn is what the next ones are about."""
    monkeypatch.setattr("matplotlib.figure.Figure.draw_without_rendering", lambda figure: None)


@pytest.mark.parametrize("n", [0, 1, 150])
@pytest.mark.parametrize("name", FIGURES)
def test_every_length_can_be_drawn(name, n):
    assert FIGURES[name].draw(results_of(n), SETTINGS).axes


@pytest.mark.parametrize("n", [2, 9])
@pytest.mark.parametrize("name", FIGURES)
def test_missing_numbers_are_gaps(name, n):
    results = results_of(n)
    for key in ("episode_rewards", "episode_lengths", "eval_rewards", "kl_divergences"):
        results[key] = without_some(results[key])
    for key in ("losses", "gradient_norms"):
        results[key] = {name: without_some(row) for name, row in results[key].items()}
    assert FIGURES[name].draw(results, SETTINGS).axes


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_known_can_be_drawn(name):
    assert FIGURES[name].draw({}, {}).axes


@pytest.mark.usefixtures("_not_laid_out")
@pytest.mark.parametrize("target", [None, 33.5, 475.0])
def test_the_target_is_that_of_the_settings_wherever_it_is_drawn(target):
    results, settings = results_of(60), {"target_reward": target}
    for figure, title in (
        (training_progress(results, settings), "Moving average"),
        (advanced_learning_curves(results, settings), "Rewards"),
        (
            advanced_learning_curves(results, settings),
            "Evaluations, mean ± standard deviation",
        ),
        (training_stability(results, settings), "Mean over 50 episodes"),
        (episode_progress(results, settings), "Rewards"),
    ):
        dashed = [line for line in panel(figure, title).lines if line.get_linestyle() == "--"]
        assert [set(line.get_ydata()) for line in dashed] == ([{target}] if target else [])
    histogram = panel(episode_statistics(results, settings), "Rewards")
    dashed = [line for line in histogram.lines if line.get_linestyle() == "--"]
    assert [set(line.get_xdata()) for line in dashed] == ([{target}] if target else [])


@pytest.mark.usefixtures("_not_laid_out")
@pytest.mark.parametrize(("n", "width"), [(9, 1), (40, 4), (150, 15), (1200, 100)])
def test_the_moving_average_takes_a_tenth_of_the_episodes_at_most_a_hundred(n, width):
    axes = panel(training_progress(results_of(n), {}), "Moving average")
    x, y = (np.asarray(data) for data in axes.lines[0].get_data())
    # of 1, 2, ... the last `width` up to x have the mean x - (width - 1) / 2
    np.testing.assert_array_equal(x, np.arange(width, n + 1))
    np.testing.assert_allclose(y, x - (width - 1) / 2)


@pytest.mark.usefixtures("_not_laid_out")
def test_progress_shows_rewards_and_two_losses():
    figure = training_progress(results_of(30), {})
    _, rewards = panel(figure, "Reward per episode").lines[0].get_data()
    np.testing.assert_array_equal(rewards, np.arange(1, 31))
    for title, divisor in (("Policy loss", 1), ("Value loss", 2)):
        x, y = panel(figure, title).lines[0].get_data()
        np.testing.assert_array_equal(x, np.arange(1, 31))
        np.testing.assert_allclose(y, np.arange(1, 31) / divisor)


@pytest.mark.usefixtures("_not_laid_out")
def test_learning_curves_have_the_means_that_there_are_episodes_for():
    axes = panel(advanced_learning_curves(results_of(60), SETTINGS), "Rewards")
    labels = [line.get_label() for line in axes.lines]
    assert labels == ["each episode", "mean of 10", "mean of 50", "target 33.5"]
    x, y = drawn(axes, "mean of 50")
    np.testing.assert_array_equal(x, np.arange(50, 61))
    np.testing.assert_allclose(y, x - 24.5)


@pytest.mark.usefixtures("_not_laid_out")
def test_a_mean_crosses_the_target_where_the_window_reached_it():
    x, y = drawn(panel(episode_progress(results_of(60), SETTINGS), "Rewards"), "mean of 10")
    assert x[np.argmax(y >= SETTINGS["target_reward"])] == 38  # the mean of 29, 30, ... 38


@pytest.mark.usefixtures("_not_laid_out")
def test_evaluations_stand_at_their_episodes_with_their_spread():
    results = results_of(
        30, eval_rewards=[5.0, 9.0], eval_stds=[1.0, None], eval_episodes_at=[7, 9]
    )
    axes = panel(advanced_learning_curves(results, {}), "Evaluations, mean ± standard deviation")
    assert [tuple(data) for data in axes.lines[0].get_data()] == [(7, 9), (5, 9)]
    (bars,) = axes.collections
    np.testing.assert_array_equal(bars.get_segments()[0], [[7, 4], [7, 6]])


def test_evaluations_without_a_spread_or_more_than_there_are_places_for_are_drawn():
    results = results_of(30, eval_rewards=[5.0, 9.0, 9.5], eval_stds=[], eval_episodes_at=[7, 9])
    axes = panel(advanced_learning_curves(results, {}), "Evaluations, mean ± standard deviation")
    assert [tuple(data) for data in axes.lines[0].get_data()] == [(7, 9), (5, 9)]


def test_the_outcome_is_that_of_the_results():
    results = results_of(30, reached_target=True, reached_episode=22, best_avg_reward=25.5)
    shown = cells(advanced_learning_curves(results, {}).axes[-1])
    rows = {shown[row, 0]: shown[row, 1] for row in range(len(shown) // 2)}
    assert rows == {
        "Episodes": "30",
        "Env steps": "300",
        "Training time": "1.2 s",
        "Final reward": "30.0 ± 0.5",
        "Best mean of a window": "25.5",
        "Target reached": "at episode 22",
        "Converged": "no",
    }


@pytest.mark.usefixtures("_not_laid_out")
def test_stability_is_measured_over_fifty_episodes():
    rewards = [10.0] * 25 + [30.0] * 25 + [50.0]
    figure = training_stability(results_of(51, episode_rewards=rewards), {"target_reward": 30})
    # 25 tens and 25 thirties: mean 20, deviations of 10; then 24, 25 and a fifty: mean 20.8
    std = ((24 * 10.8**2 + 25 * 9.2**2 + 29.2**2) / 50) ** 0.5
    expected = {
        "Mean over 50 episodes": [20, 20.8],
        "Standard deviation over 50 episodes": [10, std],
        "Coefficient of variation": [0.5, std / 20.8],
        "Episodes at or above target": [50, 52],
    }
    for title, values in expected.items():
        x, y = panel(figure, title).lines[0].get_data()
        np.testing.assert_array_equal(x, [50, 51])
        np.testing.assert_allclose(y, values)


@pytest.mark.usefixtures("_not_laid_out")
@pytest.mark.parametrize("n", [0, 1, 49])
def test_stability_says_how_many_episodes_it_waits_for(n):
    for axes in training_stability(results_of(n), SETTINGS).axes:
        assert words_of(axes) == {f"needs 50 episodes, has {n}"}
        assert not axes.lines


def test_a_mean_below_zero_has_a_coefficient_of_variation_above():
    rewards = [-10.0] * 25 + [-30.0] * 25  # mean -20, deviations of 10
    figure = training_stability(results_of(50, episode_rewards=rewards), SETTINGS)
    np.testing.assert_allclose(panel(figure, "Coefficient of variation").lines[0].get_ydata(), 0.5)


def test_a_mean_of_zero_has_no_coefficient_of_variation():
    figure = training_stability(results_of(50, episode_rewards=[0.0] * 50), SETTINGS)
    assert words_of(panel(figure, "Coefficient of variation")) == {"no data"}
    assert len(panel(figure, "Standard deviation over 50 episodes").lines) == 1


def test_a_histogram_counts_every_episode_in_thirty_bins():
    left, right = episode_statistics(results_of(150), SETTINGS).axes
    assert len(right.patches) == 30
    assert sum(bar.get_height() for bar in right.patches) == 150
    assert drawn(right, "mean 75.5")[0][0] == 75.5
    np.testing.assert_array_equal(drawn(left, "each episode")[1], [10] * 150)
    np.testing.assert_array_equal(drawn(left, "mean of 15")[1], [10] * 136)


def test_the_summary_shows_the_last_hundred_rewards_the_losses_and_the_settings():
    settings = {"target_reward": 120.0, "learning_rate": 3e-4, "hidden": (64, 64), "clip": None}
    figure = training_summary(results_of(150), settings)
    histogram = panel(figure, "Last 100 episodes")
    assert sum(bar.get_height() for bar in histogram.patches) == 100
    assert drawn(histogram, "mean 100.5")[0][0] == 100.5  # of 51, 52, ... 150
    losses = cells(panel(figure, "Losses"))
    assert [losses[2, column] for column in range(4)] == ["value loss", "75", "0.5", "75"]
    shown = cells(panel(figure, "Settings"))
    found = {shown[row, i]: shown[row, i + 1] for row in range(2) for i in (0, 3, 6)}
    assert found == {
        "target reward": "120",
        "learning rate": "0.0003",
        "hidden": "64, 64",
        "clip": "-",
        "": "",
    }


@pytest.mark.usefixtures("_not_laid_out")
@pytest.mark.parametrize(("count", "panels"), [(0, 2), (1, 1), (3, 3), (5, 5)])
def test_every_loss_has_a_panel(count, panels):
    losses = {f"loss_{i}": [1.0, 2.0] for i in range(count)}
    figure = loss_curves(results_of(2, losses=losses), {})
    assert len(figure.axes) == panels
    assert sum(len(axes.lines) for axes in figure.axes) == count


def test_the_loss_that_is_a_negative_entropy_says_so():
    axes = panel(loss_curves(results_of(9), {}), "Entropy loss")
    assert axes.get_ylabel() == "Negative entropy [nats]"


def test_divergences_are_drawn_with_the_one_to_stay_below():
    (axes,) = kl_divergence(results_of(40), SETTINGS).axes
    np.testing.assert_allclose(drawn(axes, "each update")[1], 0.001 * np.arange(1, 41))
    assert set(drawn(axes, "target 0.02")[1]) == {0.02}
    (axes,) = kl_divergence(results_of(40), {"target_kl": None}).axes
    assert not [line for line in axes.lines if line.get_linestyle() == "--"]


@pytest.mark.usefixtures("_not_laid_out")
def test_norms_of_actor_and_critic_stand_apart_on_a_logarithmic_scale():
    figure = gradient_flow(results_of(40), {})
    for title, names in (("Actor", LAYERS[:2]), ("Critic", LAYERS[2:])):
        axes = panel(figure, title)
        assert axes.get_yscale() == "log"
        assert [line.get_label() for line in axes.lines] == list(names)
        x, y = drawn(axes, names[0])
        np.testing.assert_array_equal(x, np.arange(4, 41))
        np.testing.assert_allclose(y, x - 1.5)  # means of four


def test_a_layer_of_neither_has_a_panel_and_a_norm_of_zero_a_gap():
    norms = {"actor.w": [0.0, 1.0, 2.0], "torso.w": [0.0, 0.0, 0.0]}
    figure = gradient_flow(results_of(3, gradient_norms=norms), {})
    np.testing.assert_array_equal(drawn(panel(figure, "Actor"), "actor.w")[1], [np.nan, 1, 2])
    assert words_of(panel(figure, "Critic")) == {"no data yet"}
    assert words_of(panel(figure, "Other layers")) == {"no data yet"}


@pytest.mark.parametrize(
    ("name", "part"),
    [
        (".actor.layers[0].weight", "Actor"),
        ("['ActorNetwork_0']['kernel']", "Actor"),
        ("policy.linear.bias", "Actor"),
        ("actor_critic/critic/0", "Critic"),
        ("value.bias", "Critic"),
        ("encoder.0", "Other layers"),
    ],
)
def test_a_layer_belongs_to_what_its_name_says_last(name, part):
    found = norms_by_part({name: [1.0]})
    assert {key: list(layers) for key, layers in found.items() if layers} == {part: [name]}


def test_many_layers_with_long_names_are_told_apart():
    norms = {f"actor.{'encoder.' * 5}layers.{i}.weight": [1.0, 2.0] for i in range(13)}
    lines = panel(gradient_flow(results_of(2, gradient_norms=norms), {}), "Actor").lines
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 13
    labels = {line.get_label() for line in lines}
    assert len(labels) == 13
    assert max(map(len, labels)) == 32


@pytest.mark.parametrize("n", [1, 9])
def test_single_points_have_a_dot(n):
    (line,) = kl_divergence(results_of(n), {}).axes[0].lines
    assert line.get_marker() == "o"
    assert len(line.get_markevery()) == n


@pytest.mark.usefixtures("_not_laid_out")
def test_points_between_missing_ones_have_a_dot_and_others_none():
    values = [1.0] * 30 + [None, 5.0, None] + [1.0] * 7
    axes = panel(loss_curves(results_of(40, losses={"a": values}), {}), "A")
    assert list(axes.lines[0].get_markevery()) == [31]
    axes = panel(loss_curves(results_of(40), {}), "Policy loss")
    assert axes.lines[0].get_marker() == "None"


def test_the_files_have_the_paths_of_the_artifacts(tmp_path):
    files = save_figures(results_of(9), SETTINGS, tmp_path)
    assert [str(file.relative_to(tmp_path)) for file in files] == [
        "training_curves/training_progress.png",
        "learning_analysis/advanced_learning_curves.png",
        "stability_analysis/training_stability.png",
        "comprehensive_analysis/episode_statistics.png",
        "comprehensive_analysis/training_summary.png",
        "loss_curves/step_9.png",
        "episode_progress/step_9.png",
        "kl_divergence/step_9.png",
        "gradient_flow/step_9.png",
    ]
    assert sorted(files) == sorted(file for file in tmp_path.rglob("*") if file.is_file())
    for file in files:
        assert matplotlib.image.imread(file).shape[1] >= 1200  # 8 inches or more, 150 dots each


def test_what_has_no_data_is_left_out(tmp_path):
    results = results_of(3, gradient_norms={"actor.w": []}, kl_divergences=[None, None])
    assert save_figures(results, {}, tmp_path, ["gradient_flow", "kl_divergence"]) == []
    assert save_figures({}, {}, tmp_path) == []
    assert not list(tmp_path.iterdir())


def test_files_are_counted_by_episodes_even_where_only_the_rewards_are_known(tmp_path):
    results = {"episode_rewards": [1.0, 2.0]}
    (path,) = save_figures(results, {}, tmp_path, ["episode_progress"])
    assert path.name == "step_2.png"


def test_a_figure_is_written_over_the_one_before_and_nothing_else_is_left(tmp_path):
    names = ["episode_statistics"]
    (path,) = save_figures(results_of(3), {}, tmp_path, names)
    before = path.read_bytes()
    assert save_figures(results_of(9), {}, tmp_path, names) == [path]
    assert path.read_bytes() != before
    assert list(path.parent.iterdir()) == [path]


def test_a_figure_that_fails_halfway_leaves_the_one_before(tmp_path, monkeypatch):
    (path,) = save_figures(results_of(3), {}, tmp_path, ["loss_curves"])
    before = path.read_bytes()

    def fill_the_disk(figure, where, **_):
        Path(where).write_bytes(before[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", fill_the_disk)
    with pytest.raises(UnwritableError, match="No space left"):
        save_figures(results_of(3), {}, tmp_path, ["loss_curves"])
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_an_unknown_figure_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ConfigError, match="did you mean loss_curves"):
        save_figures(results_of(3), {}, tmp_path, ["kl_divergence", "loss_curve"])
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "loss_curves").write_text("a file")
    with pytest.raises(UnwritableError, match="loss_curves"):
        save_figures(results_of(3), {}, tmp_path, ["loss_curves"])


def test_figures_without_matplotlib_say_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib.style", None)
    with pytest.raises(ConfigError, match=r"pip install 'vibe-rl\[plot\]'"):
        save_figures(results_of(3), {}, tmp_path)


def test_no_figure_stays_open():
    figure = training_progress(results_of(9), SETTINGS)
    reference = weakref.ref(figure)
    del figure
    gc.collect()
    assert reference() is None
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or pyplot.get_fignums() == []


def test_a_policy_is_drawn_where_its_angles_are():
    theta, theta_dot = np.array([-0.1, 0.1]), np.array([-1.0, 0.0, 1.0])
    probability = np.array([[0.0, 0.2, 0.4], [0.6, np.nan, 1.0]])
    left, right, _ = policy_distribution(theta, theta_dot, probability, np.array([30, 10])).axes
    mesh = left.collections[0]
    shown = mesh.get_array()
    np.testing.assert_array_equal(shown.filled(-1), [[0, 0.6], [0.2, -1], [0.4, 1]])
    np.testing.assert_allclose(mesh.get_coordinates()[0, :, 0], [-0.2, 0, 0.2])
    np.testing.assert_allclose(mesh.get_coordinates()[:, 0, 1], [-1.5, -0.5, 0.5, 1.5])
    assert (left.get_xlabel(), left.get_ylabel()) == ("Angle [rad]", "Angular velocity [rad/s]")
    assert [bar.get_height() for bar in right.patches] == [30, 10]
    assert words_of(right) == {"75%", "25%"}


@pytest.mark.parametrize("n", [0, 1, 150])
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0, np.nan])
def test_policies_of_every_grid_and_certainty_can_be_drawn(n, value):
    grid = np.linspace(-1, 1, n)
    figure = policy_distribution(grid, grid, np.full((n, n), value), [0, 0])
    assert words_of(figure.axes[1]) == {"no data yet"}
    assert len(figure.axes) == (3 if n and np.isfinite(value) else 2)  # with a scale of colours


def test_the_line_between_two_actions_is_where_they_are_equally_likely():
    grid = np.linspace(-1, 1, 21)
    probability = np.broadcast_to(0.5 + 0.4 * grid[:, None], (21, 21))
    border = policy_distribution(grid, grid, probability, [1, 1]).axes[0].collections[1]
    np.testing.assert_allclose(border.get_paths()[0].vertices[:, 0], 0, atol=1e-9)


def test_scores_stand_in_their_cells_and_missing_ones_are_blank():
    table = np.array([[1.0, np.nan, 3.0], [4.0, 5.25, np.inf]])
    names, values = ("learning_rate", "gamma"), ([1e-4, 3e-4], [0.9, 0.95, 0.99])
    axes, _ = hyperparameter_heatmap(names, values, table).axes
    (image,) = axes.images
    np.testing.assert_array_equal(image.get_array().mask, [[0, 1, 0], [0, 0, 1]])
    assert image.get_cmap().get_bad()[3] == 0  # transparent
    assert image.get_clim() == (1, 5.25)
    shown = {text.get_position(): text.get_text() for text in axes.texts}
    assert shown == {(0, 0): "1", (2, 0): "3", (0, 1): "4", (1, 1): "5.25"}
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("learning rate", "gamma")
    assert [text.get_text() for text in axes.get_yticklabels()] == ["0.0001", "0.0003"]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["0.9", "0.95", "0.99"]
    assert axes.get_title(loc="left") == "Final avg reward"


@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (1, 9), (9, 1), (9, 9), (3, 50)])
@pytest.mark.parametrize("score", [0.0, np.nan])
def test_tables_of_every_size_can_be_drawn(shape, score):
    figure = hyperparameter_heatmap(("a", "b"), tuple(map(range, shape)), np.full(shape, score))
    blank = not all(shape) or np.isnan(score)
    assert bool(figure.axes[0].images) != blank


def test_a_table_of_another_size_than_its_axes_is_refused():
    with pytest.raises(ConfigError, match=r"table has shape \(2, 3\): give \(3, 2\)"):
        hyperparameter_heatmap(("a", "b"), ([1, 2, 3], [1, 2]), np.zeros((2, 3)))
    with pytest.raises(ConfigError, match=r"probability has shape \(2, 2\): give \(2, 1\)"):
        policy_distribution(np.zeros(2), np.zeros(1), np.zeros((2, 2)), [1, 1])
