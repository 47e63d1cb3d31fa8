"""Which part of a training's results a panel of its figures shows."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from vibe_rl.plotting.palette import color_for, get_colors
from vibe_rl.plotting.smooth import windows
from vibe_rl.trainers.ppo_trainer.figures import panels
from vibe_rl.trainers.ppo_trainer.performance import STABILITY_WINDOW, known, loss_analysis, series

Record = Mapping[str, Any]
Values = Float[np.ndarray, " _"]
EPISODE, UPDATE, REWARD = "Episode", "Update", "Reward"
_WIDEST = 100  # of means that grow with the training
_LONGEST_NAME = 32  # letters
_PARTS = {"actor": "Actor", "policy": "Actor", "critic": "Critic", "value": "Critic"}


def draw_rewards(axes: Any, results: Record, settings: Record, widths: tuple[int, ...]) -> None:
    """Each episode's reward, its means over so many episodes, and the target."""
    rewards = series(results.get("episode_rewards"))
    panels.name_axes(axes, "Rewards", EPISODE, REWARD)
    if panels.is_blank(axes, rewards):
        return
    panels.curve_and_means(axes, rewards, widths, "each episode")
    panels.mark_target(axes, settings.get("target_reward"))
    panels.legend_above(axes)


def draw_lengths(axes: Any, results: Record) -> None:
    """Each episode's length and its mean."""
    lengths = series(results.get("episode_lengths"))
    panels.name_axes(axes, "Lengths", EPISODE, "Env steps")
    if not panels.is_blank(axes, lengths):
        panels.curve_and_means(axes, lengths, [mean_width(len(lengths))], "each episode")
        panels.legend_above(axes)


def draw_histogram(axes: Any, title: str, rewards: Values, settings: Record) -> None:
    """How often each reward occurs."""
    panels.name_axes(axes, title, REWARD, "Episodes")
    if not panels.is_blank(axes, rewards):
        panels.histogram(axes, rewards, settings.get("target_reward"))
        panels.legend_above(axes)


def draw_loss(axes: Any, results: Record, name: str) -> None:
    """A loss after each update."""
    losses = series(results.get("losses", {}).get(name))
    unit = "Negative entropy [nats]" if name == "entropy_loss" else ""
    panels.name_axes(axes, name.replace("_", " ").capitalize(), UPDATE, unit)
    if not panels.is_blank(axes, losses):
        panels.curve(axes, losses, linewidth=1.2)


def draw_evaluations(axes: Any, results: Record, settings: Record) -> None:
    """Means of evaluations, plus and minus a standard deviation, where they took place."""
    columns = [series(results.get(key)) for key in ("eval_episodes_at", "eval_rewards")]
    n = min(map(len, columns))
    at, means = (column[:n] for column in columns)
    panels.name_axes(axes, "Evaluations, mean ± standard deviation", EPISODE, REWARD)
    if panels.is_blank(axes, at + means):
        return
    stds = np.append(series(results.get("eval_stds")), np.zeros(n))[:n]
    axes.vlines(at, means - stds, means + stds, color=color_for(0), alpha=0.3, linewidth=4)
    panels.line(axes, at, means, color=color_for(0))
    panels.mark_target(axes, settings.get("target_reward"))
    panels.legend_above(axes)


def draw_norms(axes: Any, title: str, norms: Mapping[str, Values]) -> None:
    """Means of the gradient norms of layers, on a logarithmic scale, which has no zero."""
    width = mean_width(max(map(len, norms.values()), default=0))
    panels.name_axes(axes, title, UPDATE, f"Gradient norm, mean of {width}")
    means = {name: windows(x, width).mean(axis=-1) for name, x in norms.items()}
    positive = {name: np.where(x > 0, x, np.nan) for name, x in means.items()}
    if panels.is_blank(axes, np.concatenate([np.empty(0), *positive.values()])):
        return
    axes.set_yscale("log")
    for i, (name, norm) in enumerate(positive.items()):
        look = {"linestyle": "-" if i < len(get_colors()) else "--", "linewidth": 1.5}
        panels.curve(axes, norm, i, first=width, label=_ending(name), **look)
    panels.legend_beside(axes)


def norms_by_part(norms: Mapping[str, Any]) -> dict[str, dict[str, Values]]:
    """Gradient norms of the actor's and the critic's layers, and of others if there are any."""
    found: dict[str, dict[str, Values]] = {"Actor": {}, "Critic": {}}
    for name, norm in norms.items():
        part = [_PARTS[word] for word in re.findall("|".join(_PARTS), name.lower())][-1:]
        found.setdefault(part[0] if part else "Other layers", {})[name] = series(norm)
    return found


def stability(rewards: Values, target: float | int | None) -> list[tuple[str, str, Values]]:
    """Title, unit and values of four measures over `STABILITY_WINDOW` episodes."""
    last = windows(rewards, STABILITY_WINDOW)
    mean, std = last.mean(axis=-1), last.std(axis=-1)
    size = np.where(mean == 0, np.nan, np.abs(mean))
    share = np.full(len(mean), np.nan) if target is None else 100 * (last >= target).mean(axis=-1)
    over = f"over {STABILITY_WINDOW} episodes"
    return [
        (f"Mean {over}", REWARD, mean),
        (f"Standard deviation {over}", REWARD, std),
        ("Coefficient of variation", "Standard deviation / |mean|", std / size),
        ("Episodes at or above target", f"% of {STABILITY_WINDOW}", share),
    ]


def outcome_rows(results: Record) -> list[list[str]]:
    """What a training came to, in rows of two words."""
    rows = {
        "Episodes": results.get("total_episodes"),
        "Env steps": results.get("total_steps"),
        "Training time": _seconds(known(results.get("training_time"))),
        "Final reward": _plus_minus(
            results.get("final_avg_reward"), results.get("final_std_reward")
        ),
        "Best mean of a window": results.get("best_avg_reward"),
        "Target reached": _since(results.get("reached_target"), results.get("reached_episode")),
        "Converged": _since(results.get("converged"), results.get("convergence_episode")),
    }
    return [[name, panels.words(value)] for name, value in rows.items()]


def losses(results: Record) -> list[list[str]]:
    """The last, least and largest value of each loss, in rows under a header."""
    found = loss_analysis(results).items()
    rows = [
        [name.replace("_", " "), *map(panels.three_digits, ends.values())] for name, ends in found
    ]
    return [["", "final", "min", "max"], *(rows or [["none", "", "", ""]])]


def mean_width(n: int) -> int:
    """A tenth of `n` values, at least one and at most 100."""
    return max(1, min(_WIDEST, n // 10))


def _ending(name: str) -> str:
    """The end of a layer's name, which tells it from its neighbours."""
    return name if len(name) <= _LONGEST_NAME else f"…{name[1 - _LONGEST_NAME :]}"


def _plus_minus(mean: float | None, std: float | None) -> str | None:
    if known(mean) is None:
        return None
    return f"{mean:.1f}" if known(std) is None else f"{mean:.1f} ± {std:.1f}"


def _seconds(time: float | int | None) -> str | None:
    return None if time is None else f"{time:,.1f} s"


def _since(happened: bool | None, episode: int | None) -> str | None:
    if not happened or episode is None:
        return None if happened is None else panels.words(happened)
    return f"at episode {episode:,}"
