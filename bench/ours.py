"""vibe_rl as a user runs it: chunked, with rows written and progress shown."""

import tempfile
from contextlib import closing
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

import jax
from worker import mean_of_last_tenth, serve

from vibe_rl.configs.train_config import from_dict
from vibe_rl.experiment.build import build
from vibe_rl.metrics import MetricsLogger, read_metrics
from vibe_rl.runner import fit
from vibe_rl.tracking import ConsoleTracker, Tee


def prepare(settings, folder):
    settings["runner"]["eval_episodes"] = 0
    run = build(from_dict(settings))

    def start(seed, **changes):
        path = Path(tempfile.mkdtemp(dir=folder)) / "metrics.jsonl"
        return partial(train, replace(run, config=replace(run.config, seed=seed), **changes), path)

    # compiles; other lengths and seeds compile nothing
    start(0, n_updates=run.warmup_updates + 2)()
    versions = {name: version(name) for name in ("jax", "numpy", "vibe_rl")}
    return start, run.n_updates * run.steps_per_update, versions


def train(run, path):
    """One run with its rows written to `path`."""
    trackers = MetricsLogger(path), ConsoleTracker(run.config.total_timesteps)
    with closing(Tee(*trackers)) as tracker:
        jax.block_until_ready(fit(run, tracker).state)
    return partial(final_return, path)


def final_return(path):
    """Mean return of the last episodes, by the rows that have means."""
    rows = [row for row in read_metrics(path) if "episode_return_mean" in row]
    names = ("episodes", "step", "episode_return_mean")
    episodes, steps, returns = ([row[name] for row in rows] for name in names)
    return mean_of_last_tenth(steps, episodes, returns) if rows else None


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        serve(partial(prepare, folder=folder))
