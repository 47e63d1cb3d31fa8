"""Evaluations in pieces, between which a run can notice that it is to stop."""

import time
from collections.abc import Callable, Iterator

import jax
import numpy as np

from vibe_rl.runner.evaluator import EvalMetrics, Running
from vibe_rl.system.processes import greatest
from vibe_rl.system.signals import StopRequest

PIECE_SECONDS = 0.25

Evaluation = Iterator[EvalMetrics | None]
"""None after every piece but the last, then the results."""


def in_pieces(
    begin: Callable[[], Running],
    advance: Callable[[Running, np.int32], tuple[Running, EvalMetrics]],
    max_steps: int,
) -> Evaluation:
    """Greedy episodes until all have ended or are `max_steps` long.

    The first piece is one step; what it took says how many the next may have. Processes agree, for
    clocks differ.

    Args:
        begin: gives the first observations.
        advance: continues until a number of steps; the results so far.
        max_steps: of an episode.
    """
    running, scores, until, n_steps = begin(), None, 0, 1
    while until < max_steps and (scores is None or greatest(not np.all(scores.finished))):
        if scores is not None:
            yield None
        began = time.perf_counter()
        until = min(until + n_steps, max_steps)
        running, scores = jax.block_until_ready(advance(running, np.int32(until)))
        speed = n_steps / (time.perf_counter() - began)
        n_steps = greatest(min(max(int(PIECE_SECONDS * speed), 1), max_steps))
    yield scores


def results_of(evaluation: Evaluation) -> EvalMetrics:
    """The results, waited for."""
    *_, scores = evaluation
    assert scores is not None
    return scores


def unless_stopped(evaluation: Evaluation, stop: StopRequest) -> EvalMetrics | None:
    """The results, or None if a stop is requested before they are there."""
    while not greatest(stop.requested):
        scores = next(evaluation)
        if scores is not None:
            return scores
    return None
