"""Searches with Ray Tune: a trainable for any Tuner (Liaw et al. 2018, arXiv:1807.05118)."""

import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from vibe_rl.configs.train_config import TrainConfig
from vibe_rl.experiment.search.objective import Report, prepared, run_trial
from vibe_rl.extras import require
from vibe_rl.run_dir.directory import RunDir


def trainable(
    config: TrainConfig,
    seeds: Iterable[int] = range(4),
    base_dir: str | os.PathLike[str] = "runs",
) -> Callable[[Mapping[str, Any]], None]:
    """What a `ray.tune.Tuner` is to run: it reports the fields of every `Report` while it trains.

    The Tuner's `param_space` has fields of the algorithm by name, such as `algo.lr`. Run
    directories are called after Ray's trials. What a scheduler stops keeps the checkpoints that it
    has by then.

    Args:
        config: all that does not vary; its seed is not used.
        seeds: of each trial, which trains them at once.
        base_dir: where run directories are made; all machines reach it by this path.

    Raises:
        ConfigError: Ray Tune is missing, or, in a trial, its values cannot work.
    """
    require("ray.tune", "ray", "Ray's trials")
    return partial(trial, config, list(seeds), Path(base_dir).absolute())  # Ray runs it elsewhere


def trial(config: TrainConfig, seeds: list[int], base: Path, values: Mapping[str, Any]) -> None:
    """One trial, in a process of Ray's, which calls it so."""
    tune = require("ray.tune", "ray", "Ray's trials")

    def on_report(report: Report) -> bool:
        tune.report(report._asdict())
        return False

    prepared(config, values, seeds)
    name = tune.get_context().get_trial_name()
    run_trial(config, values, seeds, RunDir(name, base), on_report)
