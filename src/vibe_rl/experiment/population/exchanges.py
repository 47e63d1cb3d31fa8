"""Exchanges within a population: who takes over whose state, and where a state came from."""

import json
from collections.abc import Iterable, Mapping, Sequence
from math import inf
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vibe_rl.errors import writing
from vibe_rl.experiment.population.ranges import Ranges, explored
from vibe_rl.run_dir.plain import plain
from vibe_rl.tracking.jsonl import read_metrics


class Exchange(NamedTuple):
    """A member that takes over the state of another; a line of the population's journal."""

    step: int  # env steps of each member
    interval: int  # counted from 1
    loser: int  # place of the member that is replaced
    winner: int
    loser_return: float | str  # "-inf" if it diverged
    winner_return: float | str
    before: Mapping[str, float]  # the loser's numbers
    after: Mapping[str, float]


class Moment(NamedTuple):
    """When an exchange takes place, and what the members are then."""

    step: int
    interval: int
    returns: Sequence[float]  # of the latest evaluations; -inf where a member diverged
    values: Sequence[Mapping[str, float]]


def decided(moment: Moment, ranges: Ranges, seed: int) -> list[Exchange]:
    """The exchanges of a moment, which the seed and the interval determine."""
    rng = np.random.default_rng([seed, moment.interval])
    winners, losers = best_and_worst(moment.returns)
    return [_exchange(moment, i, int(rng.choice(winners)), ranges, rng) for i in losers]


def _exchange(
    moment: Moment, loser: int, winner: int, ranges: Ranges, rng: np.random.Generator
) -> Exchange:
    step, interval, returns, values = moment
    figures = plain(returns[loser]), plain(returns[winner])
    after = explored(values[winner], ranges, rng)
    return Exchange(step, interval, loser, winner, *figures, values[loser], after)


def best_and_worst(returns: Sequence[float]) -> tuple[list[int], list[int]]:
    """The places of the best quarter and of the worst, the best first.

    All that diverged are among the worst and none is among the best. Of equals, the first is best.
    """
    order = sorted(range(len(returns)), key=lambda i: -returns[i])
    quarter, lost = len(order) // 4, list(returns).count(-inf)
    best = [i for i in order[:quarter] if returns[i] > -inf]
    return best, order[len(order) - max(quarter, lost) :]


def lineage(exchanges: Sequence[Exchange], member: int) -> tuple[int, list[Exchange]]:
    """Where the state of a member began, and the exchanges it went through since."""
    through = []
    for exchange in reversed(exchanges):
        if exchange.loser == member:
            through.append(exchange)
            member = exchange.winner
    return member, through[::-1]


class Track(NamedTuple):
    """The numbers of a member, or of a lineage, in the course of training."""

    name: str
    steps: Sequence[int]  # env steps from which the numbers are these, and the last one
    values: Sequence[Mapping[str, float]]  # as many; the last one is the one before


def track(name: str, first: Mapping[str, float], through: Iterable[Exchange], last: int) -> Track:
    """The numbers from `first` on, through these exchanges, until env step `last`."""
    through = list(through)
    values = [first, *(exchange.after for exchange in through)]
    steps = [0, *(exchange.step for exchange in through)]
    return Track(name, [*steps, last], [*values, values[-1]])


def written(path: Path) -> list[Exchange]:
    """What a journal holds."""
    return [Exchange(**row) for row in read_metrics(path)]


def write(path: Path, exchanges: Iterable[Exchange]) -> None:
    """Appends the exchanges of an interval to a journal, in one piece."""
    lines = "".join(json.dumps(exchange._asdict()) + "\n" for exchange in exchanges)
    with writing(path), path.open("a", encoding="utf-8") as file:
        file.write(lines)
