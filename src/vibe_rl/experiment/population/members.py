"""The members of a population in their files, before and after an exchange."""

from collections.abc import Mapping
from math import inf
from typing import NamedTuple

from vibe_rl.configs.train_config import TrainConfig, from_dict
from vibe_rl.experiment.config_files import write_config
from vibe_rl.experiment.grid import field_value, with_values
from vibe_rl.experiment.group import Group, build_members
from vibe_rl.experiment.population.exploit import (
    JOURNAL,
    PopulationSnapshot,
    append_exchanges,
    decide_exchanges,
    read_exchanges,
)
from vibe_rl.experiment.population.explore import Ranges
from vibe_rl.experiment.trials import last_return
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.divergence import Divergence, clear_divergence, divergence_of, mark_diverged
from vibe_rl.run_dir.group import AnyPath
from vibe_rl.tracking.jsonl import rewind

FILE = "population.json"


class PBTPlan(NamedTuple):
    """What a population trains, as FILE holds it."""

    ranges: Ranges
    n_members: int
    every: int  # env steps of each member between exchanges
    seed: int


def read_pbt_plan(path: AnyPath) -> PBTPlan:
    """The plan of the population in a directory."""
    plan = PBTPlan(**RunDir.open(path).load_config(FILE))
    return plan._replace(ranges={name: (low, high) for name, (low, high) in plan.ranges.items()})


class PopulationFiles:
    """The part of an exchange that is in files: evaluations, configs, JOURNAL; an `Exchanger`."""

    def __init__(self, group: Group, plan: PBTPlan):
        self.plan, self.root = plan, group.run_dir.root
        self.run_dirs = [member.run_dir for member in group.members]
        self.configs = [member.config for member in group.members]
        self.runs = [member.run for member in group.members]

    @property
    def every(self) -> int:
        """Env steps from one exchange to the next."""
        return self.plan.every

    def begin(self, step: int, diverged: Mapping[int, str]) -> None:
        """Brings the files to what they were just before an exchange at `step`."""
        rewind(self.root / JOURNAL, step - 1)
        values = [first_hyperparameters(run_dir, self.plan.ranges) for run_dir in self.run_dirs]
        for exchange in read_exchanges(self.root):
            values[exchange.loser] = dict(exchange.after)
        for i, run_dir in enumerate(self.run_dirs):
            self._set_hyperparameters(i, values[i])
            if i not in diverged:
                clear_divergence(run_dir)
            elif divergence_of(run_dir) is None:
                mark_diverged(run_dir, Divergence(step, diverged[i]))

    def exchange(self, step: int) -> list[int]:
        """Decides an exchange and writes it down; whose state each member has from now on."""
        last = [last_return(run_dir, step) for run_dir in self.run_dirs]
        returns = [-inf if x is None else x for x in last]
        values = [hyperparameters(config, self.plan.ranges) for config in self.configs]
        snapshot = PopulationSnapshot(step, step // self.plan.every, returns, values)
        exchanges = decide_exchanges(snapshot, self.plan.ranges, self.plan.seed)
        append_exchanges(self.root, exchanges)
        sources = list(range(len(self.run_dirs)))
        for exchange in exchanges:
            sources[exchange.loser] = exchange.winner
            self._set_hyperparameters(exchange.loser, exchange.after)
            clear_divergence(self.run_dirs[exchange.loser])
        return sources

    def _set_hyperparameters(self, i: int, values: Mapping[str, float]) -> None:
        if hyperparameters(self.configs[i], self.plan.ranges) != values:
            self.configs[i] = with_values(self.configs[i], values)
            self.runs[i] = build_members([self.configs[i]])[0]
        write_config(self.run_dirs[i], self.configs[i])


def hyperparameters(config: TrainConfig, ranges: Ranges) -> dict[str, float]:
    """The hyperparameters that evolve, as a config has them."""
    return {name: field_value(config, name) for name in ranges}


def first_hyperparameters(run_dir: RunDir, ranges: Ranges) -> dict[str, float]:
    """The hyperparameters with which a member started."""
    return hyperparameters(from_dict(run_dir.load_config()), ranges)
