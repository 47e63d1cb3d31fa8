"""Evaluations in pieces, between which a run can notice that it is to stop."""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np

from vibe_rl.runner.evaluator import Episodes, EvalMetrics, Running, summary_of_episodes
from vibe_rl.system.processes import greatest
from vibe_rl.system.signals import StopRequest

PIECE_SECONDS = 0.25

Evaluation = Iterator[EvalMetrics | None]
"""None after every piece but the last, then the results."""


class Extent(NamedTuple):
    """How much an evaluation plays."""

    n_episodes: int
    max_steps: int  # env steps of an episode
    lanes: int | None = None  # episodes side by side; None plays all at once


Begin = Callable[[np.ndarray | None], Running]
"""The first observations of the episodes with these indices; None takes all."""
Advance = Callable[[Running, np.int32, np.ndarray | None], tuple[Running, EvalMetrics]]
"""Continues them until a number of steps; the results so far."""


def in_pieces(begin: Begin, advance: Advance, extent: Extent) -> Evaluation:
    """Greedy episodes until all have ended or are as long as they may be.

    Args:
        begin: see `Begin`.
        advance: see `Advance`.
        extent: where lanes are fewer than episodes, they are played in rounds.
    """
    episodes, rounds = [], rounds_of(extent.n_episodes, extent.lanes)
    for indices in rounds:
        running, scores = yield from play_round(begin, advance, extent.max_steps, indices)
        if len(rounds) == 1:
            yield scores
            return
        episodes.append(jax.device_get(running.episodes))
    yield summary_of_rounds(episodes, extent.n_episodes)


def play_round(
    begin: Begin, advance: Advance, max_steps: int, indices: np.ndarray | None
) -> Generator[None, None, tuple[Running, EvalMetrics]]:
    """Episodes side by side, in pieces.

    The first piece is one step; what it took says how many the next may have. Processes agree, for
    clocks differ.
    """
    running, scores, until, n_steps = begin(indices), None, 0, 1
    while until < max_steps and (scores is None or greatest(not np.all(scores.finished))):
        if scores is not None:
            yield
        began = time.perf_counter()
        until = min(until + n_steps, max_steps)
        running, scores = jax.block_until_ready(advance(running, np.int32(until), indices))
        speed = n_steps / (time.perf_counter() - began)
        n_steps = greatest(min(max(int(PIECE_SECONDS * speed), 1), max_steps))
    assert scores is not None
    return running, scores


def rounds_of(n_episodes: int, lanes: int | None) -> Sequence[np.ndarray | None]:
    """The indices of the episodes in each round of so many lanes; None: all at once.

    The last round is as wide as the others: it repeats the last episode, which counts once.
    """
    if lanes is None or lanes >= n_episodes:
        return (None,)
    begins = np.arange(0, n_episodes, lanes, dtype=np.int32)
    wide = begins[:, None] + np.arange(lanes, dtype=np.int32)
    return tuple(np.minimum(wide, np.int32(n_episodes - 1)))


def summary_of_rounds(rounds: Sequence[Episodes], n_episodes: int) -> EvalMetrics:
    """The results of all rounds' episodes, each counted once; of many agents, `[M, ...]`."""
    whole = jax.tree.map(lambda *x: np.concatenate(x, axis=-1)[..., :n_episodes], *rounds)
    return jit_summary(whole) if whole.length.ndim == 1 else jit_summaries(whole)


jit_summary = jax.jit(summary_of_episodes)
jit_summaries = jax.jit(jax.vmap(summary_of_episodes))


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
