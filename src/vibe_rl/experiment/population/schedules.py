"""The schedules of hyperparameters that a population found, of members and their ancestors."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from vibe_rl.checkpoint import saved_steps
from vibe_rl.experiment.population.exploit import Exchange, ancestry, read_exchanges
from vibe_rl.experiment.population.members import first_hyperparameters, read_pbt_plan
from vibe_rl.experiment.population.training import rank_members
from vibe_rl.run_dir.group import AnyPath, members


class Schedule(NamedTuple):
    """The hyperparameters of a member, or of a state and its ancestors, during training."""

    name: str
    steps: Sequence[int]  # env steps from which on the values hold, and the last step
    values: Sequence[Mapping[str, float]]  # as many; the last is repeated


def make_schedule(
    name: str, first: Mapping[str, float], exchanges: Iterable[Exchange], last: int
) -> Schedule:
    """The schedule from `first` on, through some exchanges, to env step `last`."""
    exchanges = list(exchanges)
    values = [first, *(exchange.after for exchange in exchanges)]
    steps = [0, *(exchange.step for exchange in exchanges)]
    return Schedule(name, [*steps, last], [*values, values[-1]])


def hyperparameter_schedules(path: AnyPath) -> tuple[list[Schedule], Schedule]:
    """The schedule of each member, and that of the best member's state and its ancestors."""
    exchanges, run_dirs = read_exchanges(path), members(path)
    ranges = read_pbt_plan(path).ranges
    first = [first_hyperparameters(run_dir, ranges) for run_dir in run_dirs]
    names = [run_dir.root.name for run_dir in run_dirs]
    last = max(saved_steps(run_dirs[0].checkpoints), default=0)
    each = [
        make_schedule(name, first[i], (x for x in exchanges if x.loser == i), last)
        for i, name in enumerate(names)
    ]
    best = names.index(rank_members(path)[0].member)
    origin, through = ancestry(exchanges, best)
    return each, make_schedule(f"ancestors of {names[best]}", first[origin], through, last)
