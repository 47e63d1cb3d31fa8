"""The members of a population as its files have them, and what becomes of them at an exchange."""

import os
from collections.abc import Mapping, Sequence
from math import inf
from typing import NamedTuple

from vibe_rl.configs.train_config import TrainConfig, from_dict
from vibe_rl.experiment.build import record_config
from vibe_rl.experiment.grid import changed, held_by
from vibe_rl.experiment.population import exchanges
from vibe_rl.experiment.population.exchanges import Exchange, Moment
from vibe_rl.experiment.population.ranges import Ranges
from vibe_rl.experiment.trials import last_return, runs_of
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.divergence import Divergence, clear_divergence, divergence_of, mark_diverged
from vibe_rl.run_dir.group import members
from vibe_rl.runner.run import Run
from vibe_rl.tracking.jsonl import rewind

FILE, JOURNAL = "population.json", "exchanges.jsonl"


class Plan(NamedTuple):
    """What evolves, as FILE holds it."""

    ranges: Ranges
    n_members: int
    every: int  # env steps of each member between exchanges
    seed: int


def plan_of(path: str | os.PathLike[str]) -> Plan:
    """What a population's directory says evolves."""
    plan = Plan(**RunDir.open(path).load_config(FILE))
    return plan._replace(ranges={name: (low, high) for name, (low, high) in plan.ranges.items()})


def history_of(path: str | os.PathLike[str]) -> list[Exchange]:
    """All exchanges of a population, the first ones first."""
    return exchanges.written(RunDir.open(path).root / JOURNAL)


class Members:
    """The members as their files have them; an `Exchanger`."""

    def __init__(
        self, group: RunDir, plan: Plan, configs: Sequence[TrainConfig], runs: Sequence[Run]
    ):
        self.plan, self.run_dirs, self.journal = plan, members(group), group.root / JOURNAL
        self.configs, self.runs = list(configs), list(runs)

    @property
    def every(self) -> int:
        """Env steps from one exchange to the next."""
        return self.plan.every

    def begin(self, step: int, diverged: Mapping[int, str]) -> None:
        """Makes the files say what the members were just before an exchange at `step`."""
        rewind(self.journal, step - 1)
        values = [first_values(run_dir, self.plan.ranges) for run_dir in self.run_dirs]
        for exchange in exchanges.written(self.journal):
            values[exchange.loser] = dict(exchange.after)
        for i, run_dir in enumerate(self.run_dirs):
            self._become(i, values[i])
            if i not in diverged:
                clear_divergence(run_dir)
            elif divergence_of(run_dir) is None:
                mark_diverged(run_dir, Divergence(step, diverged[i]))

    def exchange(self, step: int) -> list[int]:
        """Decides and writes down who takes over from whom; the source of each member's state."""
        found = [last_return(run_dir, step) for run_dir in self.run_dirs]
        returns = [-inf if x is None else x for x in found]
        values = [values_in(config, self.plan.ranges) for config in self.configs]
        moment = Moment(step, step // self.plan.every, returns, values)
        decided = exchanges.decided(moment, self.plan.ranges, self.plan.seed)
        exchanges.write(self.journal, decided)
        sources = list(range(len(self.run_dirs)))
        for exchange in decided:
            sources[exchange.loser] = exchange.winner
            self._become(exchange.loser, exchange.after)
            clear_divergence(self.run_dirs[exchange.loser])
        return sources

    def _become(self, i: int, values: Mapping[str, float]) -> None:
        if values_in(self.configs[i], self.plan.ranges) != values:
            self.configs[i] = changed(self.configs[i], values)
            self.runs[i] = runs_of([self.configs[i]])[0]
        record_config(self.run_dirs[i], self.configs[i])


def values_in(config: TrainConfig, ranges: Ranges) -> dict[str, float]:
    """The numbers that evolve, as a config has them."""
    return {name: held_by(config, name) for name in ranges}


def first_values(run_dir: RunDir, ranges: Ranges) -> dict[str, float]:
    """The numbers with which a member began."""
    return values_in(from_dict(run_dir.load_config()), ranges)
