"""How far PPO gets in HackMatrix: trains on seeds, plays with each agent, keeps the figures.

    python bench/hackmatrix_learning.py preset --seeds 31,32,33 --minutes 60
    python bench/hackmatrix_learning.py published --seeds 31 --steps 17e6

Each seed trains and is then evaluated, greedily and by sampling, on 1,000 games that no training
saw. `--minutes` ends a training so long after it was called, compilation included. What
`bench/hackmatrix_learning.json` has already is not trained again: it can be interrupted.
"""

import argparse
import json
import math
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from measured import has, kept, machine

from vibe_rl import experiment
from vibe_rl.configs.hackmatrix import PRESET, PUBLISHED
from vibe_rl.env.hackmatrix.rules import WON

SETTINGS = {"preset": PRESET, "published": PUBLISHED}
FIGURES = Path(__file__).with_suffix(".json")
TOLD = ("score", "won", "siphon_death", "truncated", "siphons_used", "programs_executed")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("settings", choices=SETTINGS)
    parser.add_argument("--seeds", default="31,32,33")
    parser.add_argument("--steps", type=float, help="env steps, in place of those of the settings")
    parser.add_argument("--minutes", type=float, help="ends each training after so many")
    parser.add_argument("--games", type=int, default=1_000)
    parser.add_argument("--runs", help="where runs are kept; a temporary folder if not given")
    return parser.parse_args()


def config_of(options, seed):
    """The settings with a seed, and a row every ten updates."""
    config = SETTINGS[options.settings]
    steps = int(options.steps or config.runner.total_timesteps)
    runner = replace(config.runner, total_timesteps=steps, seed=seed, log_interval=327_680)
    return replace(config, runner=runner)


def played(run_dir, games, sample):
    """What `games` fresh games amount to: means, and the share past each stage."""
    result = experiment.evaluate_run(run_dir, episodes=games, seed=123, sample=sample)
    stages = np.asarray(result.episode_metrics["highest_stage"])
    past = {str(k): round(float((stages > k).mean()), 4) for k in range(1, WON)}
    means = {name: round(float(np.mean(result.episode_metrics[name])), 4) for name in TOLD}
    mean_return, length = float(result.mean_return), float(result.mean_length)
    return {"past_stage": past, "return": mean_return, "length": length, **means}


def measured(options, seed, folder):
    """The row of one seed."""
    config = config_of(options, seed)
    began = time.perf_counter()
    ends = began + 60 * (options.minutes or math.inf)
    in_time = lambda *_: time.perf_counter() < ends  # noqa: E731
    run, result = experiment.train(config, folder, callback=in_time)[:2]
    return {
        "settings": options.settings,
        "seed": seed,
        "env_steps": config.runner.total_timesteps,
        "steps_done": int(result.step),
        "minutes": options.minutes,
        "seconds": round(time.perf_counter() - began),
        "games": options.games,
        "greedy": played(run.root, options.games, sample=False),
        "sampled": played(run.root, options.games, sample=True),
        **machine(),
    }


def main():
    options, file = parse(), kept(FIGURES)
    for seed in map(int, options.seeds.split(",")):
        steps = config_of(options, seed).runner.total_timesteps
        wanted = dict(
            settings=options.settings, seed=seed, env_steps=steps, minutes=options.minutes
        )
        if has(file.rows(), wanted):
            print(f"{wanted} is in {FIGURES.name} already", flush=True)
            continue
        with tempfile.TemporaryDirectory() as folder:
            row = measured(options, seed, options.runs or folder)
        file.keep(row)
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
