import sys

import matplotlib as mpl
import numpy as np
import pytest

from vibe_rl.errors import ConfigError
from vibe_rl.metrics import MetricsLogger
from vibe_rl.plotting import DEEPMIND, PlotConfig, plot_reward_curve
from vibe_rl.plotting.canvas import compact
from vibe_rl.run_dir import RunDir


@pytest.fixture
def make(tmp_path):
    """A run with `returns` at steps 1000, 2000, ... and evaluations where they are given."""

    def run(returns, algorithm="ppo", env_id="CartPole-v1", evals=None, config=None):
        run_dir = RunDir(f"{env_id}_{algorithm}", tmp_path)
        known = {"env_id": env_id, "algorithm": algorithm, "algo": {"lr": 1e-3}}
        run_dir.save_config(known if config is None else config)
        with MetricsLogger(run_dir.log_path()) as logger:
            for i, value in enumerate(returns, start=1):
                scores = {"eval_return": evals[i]} if evals and i in evals else {}
                logger.write({"step": 1000 * i, "episode_return": value, "loss": 1.0, **scores})
        return run_dir

    return run


def legend(figure):
    return [text.get_text() for box in figure.legends for text in box.get_texts()]


def heights(line):
    return np.asarray(line.get_ydata(), dtype=float)


def axes_of(figure):
    (axes,) = figure.axes
    return axes


def test_a_single_run_shows_training_and_evaluation(make):
    figure = plot_reward_curve(make([1.0, 2.0, 4.0], evals={3: 5.0}))
    training, evaluation = axes_of(figure).lines
    np.testing.assert_array_equal(training.get_xydata(), [[1000, 1], [2000, 2], [3000, 4]])
    np.testing.assert_array_equal(evaluation.get_xydata(), [[3000, 5]])
    assert evaluation.get_marker() == "o"
    assert legend(figure) == ["training", "evaluation"]
    assert axes_of(figure).get_title(loc="left") == "CartPole-v1 · ppo"
    assert axes_of(figure).get_xlabel() == "Step"
    assert axes_of(figure).get_ylabel() == "Episode return"


def test_smoothing_leaves_the_raw_curve_in_sight(make):
    raw, smooth = axes_of(plot_reward_curve(make([0.0, 3.0, 6.0, 0.0]), smooth=1)).lines
    np.testing.assert_allclose(heights(raw), [0, 3, 6, 0])
    np.testing.assert_allclose(heights(smooth), [1, 3, 3, 2])
    assert (raw.get_alpha() or 1) < 0.5


def test_seeds_of_one_algorithm_become_a_mean_with_a_shade(make):
    figure = plot_reward_curve([make([1.0, 2.0]), make([3.0, 6.0])])
    (line,) = axes_of(figure).lines
    np.testing.assert_allclose(heights(line), [2, 4])
    (shade,) = axes_of(figure).collections
    low, high = shade.get_datalim(axes_of(figure).transData).intervaly
    # sample deviations are sqrt(2) and sqrt(8)
    np.testing.assert_allclose([low, high], [2 - 2**0.5, 4 + 8**0.5])
    assert axes_of(figure).get_title(loc="left") == "CartPole-v1 · ppo (2 runs)"
    assert axes_of(figure).get_ylabel() == "Episode return (mean ± std)"
    assert legend(figure) == []


def test_seeds_become_an_interquartile_mean_where_that_is_asked_for(make):
    runs = [make([1.0, y]) for y in (0.0, 2.0, 4.0, 90.0)]
    axes = axes_of(plot_reward_curve(runs, config=PlotConfig(shaded="iqm")))
    np.testing.assert_allclose(heights(axes.lines[0]), [1, 3])  # (2 + 4) / 2
    low, high = axes.collections[0].get_datalim(axes.transData).intervaly
    assert 0 <= low < 3 < high <= 90
    assert axes.get_ylabel() == "Episode return (IQM, 95 % interval)"


def test_algorithms_are_lines_of_their_own_by_name(make):
    runs = [make([1.0, 2.0]), make([1.0, 3.0], "dqn"), make([2.0, 3.0], "dqn")]
    figure = plot_reward_curve(runs)
    assert legend(figure) == ["dqn (2 runs)", "ppo"]
    assert [line.get_color() for line in axes_of(figure).lines] == list(DEEPMIND[:2])
    assert axes_of(figure).get_title(loc="left") == "CartPole-v1"


def test_without_a_name_in_the_config_the_directory_gives_it_without_its_time(make):
    section = {"algo": {"lr": 1e-3, "hidden_sizes": [64, 64]}}
    runs = [make([1.0], "a", config=section), make([1.0], "b", config=section)]
    assert legend(plot_reward_curve(runs)) == ["CartPole-v1_a", "CartPole-v1_b"]


def test_environments_are_never_averaged_together(make):
    runs = [make([1.0, 2.0]), make([-9.0, -8.0], env_id="Pendulum-v1")]
    assert legend(plot_reward_curve(runs)) == ["ppo on CartPole-v1", "ppo on Pendulum-v1"]


def test_ungrouped_runs_are_named_by_their_directories(make):
    runs = [make([1.0, 2.0]), make([3.0, 4.0])]
    assert legend(plot_reward_curve(runs, group_by="none")) == sorted(r.root.name for r in runs)


def test_a_log_file_and_its_run_give_the_same_plot(make):
    run = make([1.0, 2.0])
    titles = {
        axes_of(plot_reward_curve(path)).get_title(loc="left")
        for path in (run, str(run), run.log_path(), [run.root])
    }
    assert titles == {"CartPole-v1 · ppo"}


def test_the_current_directory_has_a_name_too(make, monkeypatch):
    run = make([1.0], config={})
    monkeypatch.chdir(run)
    assert axes_of(plot_reward_curve(".")).get_title(loc="left") == "CartPole-v1_ppo"


def test_any_keys_can_be_plotted(make):
    figure = plot_reward_curve(make([1.0, 2.0]), x_key="wall_time", y_key="loss")
    assert axes_of(figure).get_xlabel() == "Wall time [s]"
    assert axes_of(figure).get_ylabel() == "Loss"


def test_a_single_point_is_drawn_as_a_dot(make):
    (line,) = axes_of(plot_reward_curve(make([1.0]))).lines
    assert line.get_marker() == "o"


def test_the_legend_never_covers_the_data(make):
    figure = plot_reward_curve([make([1.0, 2.0], name) for name in ("ppo", "dqn", "sac")])
    (box,) = figure.legends
    assert box.get_window_extent().y1 <= axes_of(figure).get_window_extent().y0


def test_thousands_on_the_axis_are_short(make):
    figure = plot_reward_curve(make([1.0] * 20))
    labels = [text.get_text() for text in axes_of(figure).get_xticklabels()]
    assert "10k" in labels
    assert labels[0] == "0"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1k"),
        (250_000, "250k"),
        (1_500_000, "1.5M"),
        (2e9, "2B"),
        (-2000, "\N{MINUS SIGN}2k"),
        (0.25, "0.25"),
    ],
)
def test_a_number_on_an_axis_is_short(value, text):
    assert compact(value) == text


def test_settings_reach_the_figure(make):
    config = PlotConfig(figsize=(4, 3), dpi=50, title="T", xlabel="X", ylabel="Y", shaded="none")
    figure = plot_reward_curve([make([1.0]), make([2.0])], config=config, style="ggplot")
    axes = axes_of(figure)
    assert list(figure.get_size_inches()) == [4, 3]
    assert (axes.get_title(loc="center"), axes.get_xlabel(), axes.get_ylabel()) == ("T", "X", "Y")
    assert len(axes.collections) == 0


@pytest.mark.parametrize(("name", "written"), [("a/curve.pdf", "a/curve.pdf"), ("c", "c.png")])
def test_a_figure_is_saved_where_it_is_asked_for(make, tmp_path, name, written):
    plot_reward_curve(make([1.0, 2.0]), save_path=tmp_path / name)
    assert (tmp_path / written).stat().st_size > 1000


@pytest.mark.parametrize("kind", ["svg", "pdf"])
def test_equal_figures_are_equal_files(make, tmp_path, kind):
    for name in ("a", "b"):
        plot_reward_curve(make([1.0, 2.0]), save_path=tmp_path / f"{name}.{kind}")
    assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()
    assert b"Date" not in (tmp_path / f"a.{kind}").read_bytes()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("curve.pgn", "unknown format of a figure 'pgn': did you mean png"), ("run/c.png", "written")],
)
def test_a_figure_that_cannot_be_saved_is_refused(make, tmp_path, name, sentence):
    (tmp_path / "run").write_text("a file, where a folder is needed")
    with pytest.raises(ConfigError, match=sentence):
        plot_reward_curve(make([1.0]), save_path=tmp_path / name)


def test_plotting_leaves_no_trace_in_matplotlib(make):
    before = dict(mpl.rcParams), "matplotlib.pyplot" in sys.modules
    figure = plot_reward_curve(make([1.0, 2.0]))
    assert (dict(mpl.rcParams), "matplotlib.pyplot" in sys.modules) == before
    assert figure.canvas.manager is None


def test_a_run_without_metrics_is_named(make):
    with pytest.raises(ConfigError, match=r"CartPole-v1_dqn_\d+_\d+ has no metrics"):
        plot_reward_curve([make([1.0]), make([], "dqn")])


def test_a_run_without_the_key_is_refused_with_what_it_has(make):
    with pytest.raises(ConfigError, match="'score': choose among its keys episode_return, loss"):
        plot_reward_curve(make([1.0]), y_key="score")


def test_a_run_of_nulls_makes_no_empty_figure(make):
    with pytest.raises(ConfigError, match="no row with 'step' and 'episode_return'"):
        plot_reward_curve(make([float("nan"), float("nan")]))


def test_an_unknown_grouping_is_refused(make):
    with pytest.raises(ConfigError, match="unknown group_by 'seed'"):
        plot_reward_curve(make([1.0]), group_by="seed")


def test_no_runs_at_all_are_refused():
    with pytest.raises(ConfigError, match="run_dirs is empty"):
        plot_reward_curve([])


def test_an_unknown_style_is_refused_with_the_nearest(make):
    with pytest.raises(ConfigError, match="did you mean ggplot"):
        plot_reward_curve(make([1.0]), style="gplot")


def test_without_matplotlib_the_remedy_is_named(make, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError, match=r"pip install 'vibe-rl\[plot\]'"):
        plot_reward_curve(make([1.0]))
