"""What the tests of searches share."""

import signal
from dataclasses import replace
from math import inf

from vibe_rl.configs import PRESETS
from vibe_rl.metrics import read_metrics
from vibe_rl.search import Range

PRESET = PRESETS["cartpole_ppo"][1]
CONFIG = replace(
    PRESET,
    algo=replace(PRESET.algo, hidden_sizes=(8,), n_steps=32),  # updates of 128 env steps
    runner=replace(
        PRESET.runner,
        total_timesteps=512,
        eval_every=256,
        eval_episodes=2,
        progress_bar=False,
    ),
)
RATES = {"algo.lr": Range(1e-4, 1e-2)}


def heard(reports, until=inf):
    """Takes note of reports, and ends the trial at step `until`."""

    def on_report(report):
        reports.append(report)
        return report.step >= until

    return on_report


def evaluated(member):
    return {x["step"]: x["eval_return"] for x in read_metrics(member) if "eval_return" in x}


def interrupting(report):
    signal.raise_signal(signal.SIGINT)
    return False
