"""What the tests of searches share."""

import signal
from dataclasses import replace
from math import inf

from small_run import CONFIG as SMALL
from vibe_rl.experiment.search import Range
from vibe_rl.metrics import read_metrics

CONFIG = replace(SMALL, runner=replace(SMALL.runner, total_timesteps=512))
RATES = {"algo.lr": Range(1e-4, 1e-2)}


def collect(evaluations, until=inf):
    """A `ShouldStop` that keeps evaluations in a list, and ends the trial at step `until`."""

    def should_stop(evaluation):
        evaluations.append(evaluation)
        return evaluation.step >= until

    return should_stop


def evaluated(member):
    return {x["step"]: x["eval_return"] for x in read_metrics(member) if "eval_return" in x}


def interrupting(evaluation):
    signal.raise_signal(signal.SIGINT)
    return False
