"""Figures of a training, from its results and settings alone, and the files they are written to.

Means are taken over the last episodes, as the target is judged by, so a curve crosses the target
where the training reached it.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vibe_rl.errors import unknown
from vibe_rl.plotting.canvas import save
from vibe_rl.trainers.ppo_trainer.figures import panels
from vibe_rl.trainers.ppo_trainer.figures.result_panels import (
    EPISODE,
    REWARD,
    UPDATE,
    draw_evaluations,
    draw_histogram,
    draw_lengths,
    draw_loss,
    draw_norms,
    draw_rewards,
    losses,
    mean_width,
    norms_by_part,
    outcome_rows,
    stability,
)
from vibe_rl.trainers.ppo_trainer.performance import STABILITY_WINDOW, known, series

if TYPE_CHECKING:
    import matplotlib.figure

Record = Mapping[str, Any]
_LAST = 100  # episodes of the summary's histogram


def training_progress(results: Record, settings: Record) -> "matplotlib.figure.Figure":
    """Rewards, their means over a tenth of the episodes, at most 100, and two losses."""
    rewards = series(results.get("episode_rewards"))
    with panels.sheet(11, 7) as figure:
        (first, second), below = figure.subplots(2, 2)
        panels.name_axes(first, "Reward per episode", EPISODE, REWARD)
        if not panels.is_blank(first, rewards):
            panels.curve(first, rewards, linewidth=1)
        panels.name_axes(second, "Moving average", EPISODE, REWARD)
        if not panels.is_blank(second, rewards):
            panels.mean_curve(second, rewards, mean_width(len(rewards)))
            panels.mark_target(second, settings.get("target_reward"))
            panels.legend_above(second)
        for axes, name in zip(below, ("policy_loss", "value_loss"), strict=True):
            draw_loss(axes, results, name)
    return figure


def advanced_learning_curves(results: Record, settings: Record) -> "matplotlib.figure.Figure":
    """Rewards with three means and the target, losses, evaluations, and the outcome in words."""
    layout = [["rewards"] * 3, [0, 1, 2], ["evaluations", "evaluations", "outcome"]]
    names = list(results.get("losses", {}))[:3] or ["policy_loss", "value_loss", "entropy_loss"]
    with panels.sheet(13, 10) as figure:
        axes = figure.subplot_mosaic(layout, height_ratios=(3, 2, 3))
        draw_rewards(axes["rewards"], results, settings, widths=(10, 50, 100))
        for i in range(3):
            axes[i].set_axis_off()
        for i, name in enumerate(names):
            axes[i].set_axis_on()
            draw_loss(axes[i], results, name)
        draw_evaluations(axes["evaluations"], results, settings)
        panels.table_panel(axes["outcome"], outcome_rows(results), "lr")
    return figure


def training_stability(results: Record, settings: Record) -> "matplotlib.figure.Figure":
    """Mean, spread and target share of the last 50 episodes, as they develop."""
    rewards, target = series(results.get("episode_rewards")), known(settings.get("target_reward"))
    missing = f"needs {STABILITY_WINDOW} episodes, has {len(rewards)}"
    with panels.sheet(11, 7) as figure:
        grid = figure.subplots(2, 2).flat
        for axes, (title, unit, values) in zip(grid, stability(rewards, target), strict=True):
            panels.name_axes(axes, title, EPISODE, unit)
            if not panels.is_blank(axes, values, "no data" if len(values) else missing):
                panels.curve(axes, values, first=STABILITY_WINDOW)
        mean, *_, share = figure.axes
        if len(mean.lines):
            panels.mark_target(mean, target)
            panels.legend_above(mean)
        if len(share.lines):
            share.set_ylim(-4, 104)
    return figure


def episode_statistics(results: Record, settings: Record) -> "matplotlib.figure.Figure":
    """How long episodes are, and how often each reward occurs."""
    rewards = series(results.get("episode_rewards"))
    with panels.sheet(11, 4.5) as figure:
        left, right = figure.subplots(1, 2)
        draw_lengths(left, results)
        draw_histogram(right, "Rewards", rewards, settings)
    return figure


def training_summary(results: Record, settings: Record) -> "matplotlib.figure.Figure":
    """The rewards of the last 100 episodes, the losses, the outcome and the settings."""
    rewards = series(results.get("episode_rewards"))[-_LAST:]
    rows = panels.pairs(settings, columns=3)
    layout = [["rewards", "losses"], ["rewards", "outcome"], ["settings", "settings"]]
    heights = (1.7, 2.8, 0.3 * max(1, len(rows)))  # inches, about
    with panels.sheet(13, sum(heights) + 1.2) as figure:
        axes = figure.subplot_mosaic(layout, height_ratios=heights)
        draw_histogram(axes["rewards"], f"Last {len(rewards)} episodes", rewards, settings)
        panels.table_panel(axes["losses"], losses(results), "lrrr", header=True)
        panels.table_panel(axes["outcome"], outcome_rows(results), "lr")
        panels.table_panel(axes["settings"], rows or [["none", *[""] * 7]], "lr lr lr")
        for name, title in (("losses", "Losses"), ("outcome", "Outcome"), ("settings", "Settings")):
            axes[name].set_title(title)
    return figure


def loss_curves(results: Record, settings: Record) -> "matplotlib.figure.Figure":
    """Every loss so far, one panel each."""
    names = list(results.get("losses", {})) or ["policy_loss", "value_loss"]
    n_rows = -(-len(names) // 2)
    with panels.sheet(11, 3.5 * n_rows) as figure:
        grid = list(figure.subplots(n_rows, 2, squeeze=False).flat)
        for axes, name in zip(grid, names, strict=False):
            draw_loss(axes, results, name)
        for axes in grid[len(names) :]:
            axes.remove()
    return figure


def episode_progress(results: Record, settings: Record) -> "matplotlib.figure.Figure":
    """Rewards and lengths of the episodes so far, with their means."""
    with panels.sheet(8, 7) as figure:
        above, below = figure.subplots(2)
        draw_rewards(above, results, settings, widths=(10, 50))
        draw_lengths(below, results)
    return figure


def kl_divergence(results: Record, settings: Record) -> "matplotlib.figure.Figure":
    """The KL divergence of each update from the policy before it, with the one to stay below."""
    values = series(results.get("kl_divergences"))
    with panels.sheet(8, 5) as figure:
        axes = figure.subplots()
        panels.name_axes(axes, "KL divergence of updates", UPDATE, "KL divergence [nats]")
        if not panels.is_blank(axes, values):
            panels.curve_and_means(axes, values, [mean_width(len(values))], "each update")
            panels.mark_target(axes, settings.get("target_kl"))
            panels.legend_above(axes)
    return figure


def gradient_flow(results: Record, settings: Record) -> "matplotlib.figure.Figure":
    """The norm of each layer's gradient, those of actor, critic and what they share apart."""
    layers = norms_by_part(results.get("gradient_norms", {}))
    with panels.sheet(11, 3.5 * len(layers)) as figure:
        column = figure.subplots(len(layers), squeeze=False)[:, 0]
        for axes, (title, norms) in zip(column, layers.items(), strict=True):
            draw_norms(axes, title, norms)
    return figure


class Entry(NamedTuple):
    """A figure that needs results and settings only."""

    draw: Callable[[Record, Record], "matplotlib.figure.Figure"]
    path: str  # below the folder of artifacts; {step} is the number of episodes
    needs: tuple[str, ...]  # of the results: without a number in one of these it is left out


_REWARDS = ("episode_rewards",)
FIGURES: dict[str, Entry] = {
    "training_progress": Entry(
        training_progress, "training_curves/training_progress.png", (*_REWARDS, "losses")
    ),
    "advanced_learning_curves": Entry(
        advanced_learning_curves,
        "learning_analysis/advanced_learning_curves.png",
        (*_REWARDS, "losses", "eval_rewards"),
    ),
    "training_stability": Entry(
        training_stability, "stability_analysis/training_stability.png", _REWARDS
    ),
    "episode_statistics": Entry(
        episode_statistics,
        "comprehensive_analysis/episode_statistics.png",
        (*_REWARDS, "episode_lengths"),
    ),
    "training_summary": Entry(
        training_summary, "comprehensive_analysis/training_summary.png", _REWARDS
    ),
    "loss_curves": Entry(loss_curves, "loss_curves/step_{step}.png", ("losses",)),
    "episode_progress": Entry(
        episode_progress, "episode_progress/step_{step}.png", (*_REWARDS, "episode_lengths")
    ),
    "kl_divergence": Entry(kl_divergence, "kl_divergence/step_{step}.png", ("kl_divergences",)),
    "gradient_flow": Entry(gradient_flow, "gradient_flow/step_{step}.png", ("gradient_norms",)),
}


def save_figures(
    results: Record,
    settings: Record,
    folder: str | os.PathLike[str],
    names: Iterable[str] | None = None,
) -> list[Path]:
    """Writes figures one after the other, each whole or not at all, where `FIGURES` says.

    Args:
        results: of a training, complete or not.
        settings: `target_reward`, `target_kl` and whatever else the summary is to show.
        folder: of the artifacts; it is made, and folders in it.
        names: keys of `FIGURES`; None takes all.

    Returns:
        The files. A figure without data has none.

    Raises:
        ConfigError: a name is unknown, the file system refuses, or matplotlib is not installed.
    """
    names = list(FIGURES if names is None else names)
    for name in names:
        if name not in FIGURES:
            raise unknown("figure", name, FIGURES)
    entries = [FIGURES[name] for name in names if _has_data(results, FIGURES[name])]
    return [_write(entry, results, settings, Path(folder)) for entry in entries]


def _write(entry: Entry, results: Record, settings: Record, folder: Path) -> Path:
    step = results.get("total_episodes") or len(series(results.get("episode_rewards")))
    path = folder / entry.path.format(step=step)
    save(entry.draw(results, settings), path)
    return path


def _has_data(results: Record, entry: Entry) -> bool:
    found = [results.get(name) for name in entry.needs]
    rows = [row for x in found for row in (x.values() if isinstance(x, Mapping) else [x])]
    return any(np.isfinite(series(row)).any() for row in rows)
