"""A trial of a search: a setting that is trained with several seeds at once, and told meanwhile."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from typing import Any, NamedTuple

from vibe_rl.analysis.aggregate import aggregate
from vibe_rl.configs.train_config import TrainConfig
from vibe_rl.errors import ConfigError
from vibe_rl.experiment.build import record, with_seed
from vibe_rl.experiment.grid import settings_of
from vibe_rl.experiment.seeds import check_seeds
from vibe_rl.experiment.trials import Member, Trial, advance, runs_of
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.divergence import divergence_of
from vibe_rl.runner.run import Run
from vibe_rl.system.signals import StopRequest


class Report(NamedTuple):
    """One evaluation of all seeds."""

    step: int  # env steps of each seed
    iqm: float  # of their mean returns; one that diverged, or is none, counts as -inf
    low: float  # of its 95 % bootstrap interval
    high: float


class Outcome(NamedTuple):
    """What a trial came to."""

    last: Report
    complete: bool  # False if it ended before its budget, or with -inf


OnReport = Callable[[Report], bool]
"""Called after every evaluation; returns whether the trial is to end there."""


def run_trial(
    config: TrainConfig,
    values: Mapping[str, Any],
    seeds: Iterable[int],
    run_dir: RunDir,
    on_report: OnReport = lambda report: False,
) -> Outcome:
    """Trains one setting with all seeds at once, and reports every evaluation while it runs.

    Trials of one process that differ in numbers only share their compiled programs. One that ends
    early is saved. It ends by itself once its interquartile mean is -inf, for so it would stay.

    Args:
        config: all that the search does not vary; its seed is not used.
        values: of the fields that it does vary, such as `{"algo.lr": 3e-4}`.
        seeds: of four, the fewest, the interquartile mean leaves out the best and the worst.
        run_dir: becomes a group of seeds, see `vibe_rl.experiment.seeds`.
        on_report: see `OnReport`.

    Raises:
        ConfigError: it cannot work; no run is begun.
        KeyboardInterrupt: Ctrl-C or SIGTERM ended it.
    """
    pairs = prepared(config, values, seeds)
    record(run_dir, pairs[0][0])
    members = [Member(member_dir(run_dir, each), each, run) for each, run in pairs]
    with StopRequest() as stop:
        reports = Reports(on_report, members[0].run, stop)
        complete = advance([Trial(run_dir.root.name, values, members)], None, stop, reports)
    if stop.requested and not reports.ending:
        raise KeyboardInterrupt
    last = divergence(members) or reports.last
    if not reports.ending:
        on_report(last)
    return Outcome(last, complete and last.iqm > -inf)


def member_dir(run_dir: RunDir, config: TrainConfig) -> RunDir:
    """A new run directory for one seed of a group."""
    return RunDir(base_dir=run_dir.root / "members", run_id=f"seed_{config.runner.seed}")


def divergence(members: Sequence[Member]) -> Report | None:
    """What is left to report where all seeds diverged, for then nothing is evaluated."""
    found = [divergence_of(member.run_dir) for member in members]
    steps = [end.step for end in found if end is not None]
    return Report(max(steps), -inf, -inf, -inf) if len(steps) == len(members) else None


def prepared(
    config: TrainConfig, values: Mapping[str, Any], seeds: Iterable[int]
) -> list[tuple[TrainConfig, Run]]:
    """The config and the run of each seed of a trial.

    Raises:
        ConfigError: the trial cannot work.
    """
    if not config.runner.eval_episodes:
        raise ConfigError("runner.eval_episodes 0: trials are judged by evaluations, give some.")
    (setting,) = settings_of(config, {name: [value] for name, value in values.items()})
    configs = [with_seed(setting.config, seed) for seed in check_seeds(seeds)]
    return list(zip(configs, runs_of(configs), strict=True))


class Reports:
    """Makes reports of evaluations, and ends the trial where it is asked to.

    The last one waits until all is saved, for a scheduler may end the process when it has it.
    """

    def __init__(self, on_report: OnReport, run: Run, stop: StopRequest):
        self.on_report, self.stop = on_report, stop
        self.budget = run.n_updates * run.steps_per_update
        self.last = Report(0, -inf, -inf, -inf)
        self.ending = False

    def __call__(self, step: int, returns: Sequence[float]) -> None:
        """What `advance` calls after every evaluation."""
        iqm, low, high, _ = aggregate([x if x < inf else -inf for x in returns])
        self.last = Report(step, iqm, low, high)
        if step < self.budget and (self.on_report(self.last) or iqm == -inf):
            self.ending = self.stop.requested = True
