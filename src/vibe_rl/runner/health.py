"""What a healthy run does not show, named in a line each, once, with what to try.

`Health` is a pure monitor of rows of metrics. What it remembers of them comes back when the rows of
a log are shown to it again, so that a resumed run repeats no line and its windows go on.
"""

import logging
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from typing_extensions import override

from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.notes import HEALTH, HealthNote, add_note
from vibe_rl.runner.config import RunnerConfig
from vibe_rl.spaces import Discrete, MultiBinary, MultiDiscrete, Space
from vibe_rl.tracking.base import Tracker

FIRST_ROWS = 20
"""Rows with an explained variance that are too early to judge it by."""
EVALUATIONS = 3
"""In a row with values that are too large."""
LEAST_RISE = 0.1
"""By which share of what it was at first a return has to rise to have risen."""
SLACK = 0.2
"""The share of its rise by which a return that is as high as ever may be lower."""
PERIODS, LEAST_ROWS = 30, 5
"""Equal parts of a run, and how many rows with a return a judgement needs."""


def largest_entropy(space: Space) -> float | None:
    """Of policies over a space, in nats; None where it has no bound."""
    if isinstance(space, Discrete):
        return math.log(space.n)
    if isinstance(space, MultiDiscrete):
        return sum(map(math.log, space.nvec))
    return space.n * math.log(2) if isinstance(space, MultiBinary) else None


@dataclass
class Health:
    """Shown every row of a run, in order, says what is unhealthy for the first time."""

    limits: RunnerConfig  # its fields that begin with `health_`
    largest_entropy: float | None = None  # nats, of a policy; None where it has no bound
    masked: bool = False  # whether legal actions vary: the largest entropy is then one of a row
    said: set[str] = field(default_factory=set)  # names of rules
    n_values: int = 0  # rows with an explained variance
    n_negative: int = 0  # of them the last ones in a row in which it was negative
    n_overestimates: int = 0  # the last evaluations in a row whose values were too large
    returns: dict[int, tuple[float, int]] = field(default_factory=dict)  # sum, count by period
    first: float | None = None  # return
    best: float = -math.inf  # return of a row
    latest: float = -math.inf

    @property
    def does_well(self) -> bool:
        """Whether the return has risen, and is about as high as it ever was."""
        rise = 0.0 if self.first is None else self.best - self.first
        risen = rise > LEAST_RISE * abs(self.first or 0.0)
        return risen and self.latest >= self.best - SLACK * rise

    def __call__(self, row: Mapping[str, Any]) -> list[HealthNote]:
        """What this row is the first to show; usually nothing."""
        value = _figure(row, "episode_return_mean")
        if value is not None:
            self.first = value if self.first is None else self.first
            self.latest, self.best = value, max(self.best, value)
        found = {name: rule(self, row) for name, rule in RULES.items() if name not in self.said}
        new = {name: text for name, text in found.items() if text}
        self.said |= set(new)
        return [HealthNote(int(row["step"]), name, text) for name, text in new.items()]


def _figure(row: Mapping[str, Any], name: str) -> float | None:
    """A metric of the row, if it is there and finite."""
    value = row.get(name)
    return value if isinstance(value, int | float) and math.isfinite(value) else None


def exceeds(value: float | None, limit: float | None) -> bool:
    """Whether both are there, and the value is above the limit."""
    return value is not None and limit is not None and value > limit


def entropy_collapse(health: Health, row: Mapping[str, Any]) -> str | None:
    """The policy has nearly ceased to explore, and it is not because it has found what is best."""
    entropy = _figure(row, "entropy")
    if health.masked and entropy is not None:
        health.largest_entropy = max(health.largest_entropy or 0.0, entropy)
    share, most = health.limits.health_entropy, health.largest_entropy
    if share is None or entropy is None or not most or entropy >= share * most:
        return None
    if health.does_well:
        return None
    remedy = "ent_coef" if "approx_kl" in row else "target_entropy_scale"
    whose = "the largest so far," if health.masked else "a uniform policy's"
    return (
        f"entropy {entropy:.3g} nats is below {share:g} of {whose} {most:.3g}, so little is"
        f" explored: try a larger {remedy} or a smaller lr"
    )


def kl_spike(health: Health, row: Mapping[str, Any]) -> str | None:
    """Updates move the policy too far at once."""
    limit, kl = health.limits.health_kl, _figure(row, "approx_kl")
    if not exceeds(kl, limit):
        return None
    return (
        f"approx_kl {kl:.3g} is above {limit:g}, so updates change the policy a lot at once: try a "
        "smaller lr, fewer n_epochs, or target_kl"
    )


def clipping(health: Health, row: Mapping[str, Any]) -> str | None:
    """Most of what updates ask for is clipped."""
    limit, clipped = health.limits.health_clip, _figure(row, "clip_fraction")
    if not exceeds(clipped, limit):
        return None
    return (
        f"clip_fraction {clipped:.3g} is above {limit:g}, so many examples teach nothing more: try "
        "a smaller lr or fewer n_epochs"
    )


def dead_values(health: Health, row: Mapping[str, Any]) -> str | None:
    """The value function explains less than a constant would, and for long.

    Where all episodes pay the most that there is, nothing is left to explain.
    """
    limit, explained = health.limits.health_value, _figure(row, "explained_variance")
    if explained is None:
        return None
    health.n_values += 1
    bad = explained < 0 and health.n_values > FIRST_ROWS and not health.does_well
    health.n_negative = health.n_negative + 1 if bad else 0
    if limit is None or health.n_negative < limit:
        return None
    return (
        f"explained_variance was below 0 in {limit} rows in a row, so the values are worse than a "
        "constant: try a reward_scale that brings returns near 1, a larger vf_coef, or another lr"
    )


def overestimated(health: Health, row: Mapping[str, Any]) -> str | None:
    """Values at the start are far above what the same episodes pay."""
    factor = health.limits.health_q
    value, paid = _figure(row, "q_start"), _figure(row, "return_start")
    if value is None or paid is None:
        return None
    above = factor is not None and value - paid > (factor - 1) * abs(paid)
    health.n_overestimates = health.n_overestimates + 1 if above else 0
    if health.n_overestimates < EVALUATIONS:
        return None
    return (
        f"values at the start are {value:.3g} where episodes pay {paid:.3g}, in {EVALUATIONS} "
        "evaluations in a row: try a smaller lr, a slower target network (tau), or a smaller n_step"
    )


def stalled(health: Health, row: Mapping[str, Any]) -> str | None:
    """For a good part of the run the return is no better than at its beginning."""
    share, value = health.limits.health_stall, _figure(row, "episode_return_mean")
    period = int(PERIODS * row["step"] / health.limits.total_timesteps)
    if value is None:
        return None
    total, count = health.returns.get(period, (0.0, 0))
    health.returns[period] = (total + value, count + 1)
    *complete, _ = health.returns
    if share is None or count or not complete or period - complete[0] <= share * PERIODS:
        return None  # or it is not the first row of its period, after which the others are complete
    lately = [x for x in complete if x >= period - round(share * PERIODS)]
    if sum(health.returns[x][1] for x in lately) < LEAST_ROWS:
        return None
    before, after = _mean_of(health.returns, complete[:1]), _mean_of(health.returns, lately)
    if after - before > LEAST_RISE * abs(before):
        return None
    return (
        f"the return is {after:.4g} over the last {share:.2g} of the run, where it began with "
        f"{before:.4g}: try another lr, more exploration, or a reward that is easier to find"
    )


def _mean_of(returns: Mapping[int, tuple[float, int]], periods: Iterable[int]) -> float:
    """The mean over the rows of some periods."""
    sums, counts = zip(*(returns[period] for period in periods), strict=True)
    return sum(sums) / sum(counts)


RULES: dict[str, Callable[[Health, Mapping[str, Any]], str | None]] = {
    "entropy": entropy_collapse,
    "kl": kl_spike,
    "clip": clipping,
    "value": dead_values,
    "q": overestimated,
    "stall": stalled,
}
"""Each rule by its name; the field of the config that turns it off begins with `health_`."""


class HealthTracker(Tracker):
    """Says what its monitor finds in the rows of a run, and writes it into the run's directory.

    Args:
        health: the monitor.
        run_dir: None writes nothing.
        name: of the run among others, before each line.
    """

    def __init__(self, health: Health, run_dir: RunDir | None = None, name: str = ""):
        self.health, self.run_dir, self.prefix = health, run_dir, f"{name}: " if name else ""

    @override
    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        if "update" not in metrics:  # the row of a single episode
            return
        for note in self.health(metrics):
            logging.getLogger("vibe_rl").warning(
                f"{self.prefix}health at env step {note.step:,}: {note.text}."
            )
            note_health(self.run_dir, note)


def note_health(run_dir: RunDir | None, note: HealthNote) -> None:
    """Writes a note into the run's directory, if it has one."""
    if run_dir is not None:
        add_note(run_dir, HEALTH, note)


def note_non_finite(run_dir: RunDir | None, step: int, reason: str) -> None:
    """Notes that a run ended because something was not finite; the reason names what to try."""
    note_health(run_dir, HealthNote(step, "non_finite", reason.rstrip(".")))
