"""A trial of a search: a setting, trained with several seeds at once, that reports meanwhile."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from typing import Any, NamedTuple

from vibe_rl.analysis.aggregate import aggregate
from vibe_rl.configs.train_config import TrainConfig
from vibe_rl.errors import ConfigError
from vibe_rl.experiment.config_files import write_run_files
from vibe_rl.experiment.grid import expand_grid
from vibe_rl.experiment.group import Member, build_members, create_group
from vibe_rl.experiment.seeds import seed_configs
from vibe_rl.experiment.trials import Trial, train_trials
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.divergence import divergence_of
from vibe_rl.runner.run import Run
from vibe_rl.system.signals import StopRequest, unless_interrupted


class Evaluation(NamedTuple):
    """One evaluation of all seeds of a trial."""

    step: int  # env steps of each seed
    iqm: float  # of their mean returns; one that diverged or is NaN counts as -inf
    low: float  # of its 95 % bootstrap interval
    high: float


class TrialResult(NamedTuple):
    """How a trial ended."""

    last: Evaluation
    complete: bool  # False if it ended before its budget, or with -inf


ShouldStop = Callable[[Evaluation], bool]
"""Called after every evaluation; returns whether to end the trial there."""


def run_trial(
    config: TrainConfig,
    values: Mapping[str, Any],
    seeds: Iterable[int],
    run_dir: RunDir,
    should_stop: ShouldStop = lambda evaluation: False,
) -> TrialResult:
    """Trains one setting with all seeds at once, and reports every evaluation while it runs.

    Trials of one process that differ in numbers only share their compiled programs. One that ends
    early is saved. A trial ends by itself once its interquartile mean is -inf, since it stays so.

    Args:
        config: all that the search does not vary; its seed is not used.
        values: of the fields that it does vary, such as `{"algo.lr": 3e-4}`.
        seeds: at least four, for the interquartile mean to leave out the best and the worst.
        run_dir: becomes a group of seeds, see `vibe_rl.experiment.seeds`.
        should_stop: see `ShouldStop`.

    Raises:
        ConfigError: it cannot work; no run is started.
        TrainingInterrupted: Ctrl-C or SIGTERM ended it.
    """
    configs, runs = build_trial(config, values, seeds)
    group = create_group(run_dir, next(iter(configs.values())), configs, runs)
    write_run_files(run_dir, group.config)
    with StopRequest() as stop:
        monitor = TrialMonitor(should_stop, runs[0], stop)
        trial = Trial(run_dir.root.name, values, group.members)
        complete = train_trials([trial], stop=stop, on_evaluation=monitor)
    unless_interrupted(TrialResult(monitor.last, complete=False), stop.signal)
    last = final_divergence(group.members) or monitor.last
    if not monitor.stopped:
        should_stop(last)
    return TrialResult(last, complete and last.iqm > -inf)


def build_trial(
    config: TrainConfig, values: Mapping[str, Any], seeds: Iterable[int]
) -> tuple[dict[str, TrainConfig], list[Run]]:
    """The configs of a trial's seeds, by the names of the members, and their runs.

    Raises:
        ConfigError: the trial cannot work.
    """
    if not config.runner.eval_episodes:
        raise ConfigError(
            "runner.eval_episodes 0: trials are ranked by evaluations, give at least 1."
        )
    (setting,) = expand_grid(config, {name: [value] for name, value in values.items()})
    configs = seed_configs(setting.config, seeds)
    return configs, build_members(configs.values())


def final_divergence(members: Sequence[Member]) -> Evaluation | None:
    """What is left to report if all seeds diverged, since then nothing is evaluated."""
    divergences = [divergence_of(member.run_dir) for member in members]
    steps = [divergence.step for divergence in divergences if divergence is not None]
    return Evaluation(max(steps), -inf, -inf, -inf) if len(steps) == len(members) else None


class TrialMonitor:
    """Reports evaluations, and ends the trial if it should stop.

    The last report waits until all is saved, because a scheduler may end the process at once.
    """

    def __init__(self, should_stop: ShouldStop, run: Run, stop: StopRequest):
        self.should_stop, self.stop = should_stop, stop
        self.budget = run.n_updates * run.steps_per_update
        self.last = Evaluation(0, -inf, -inf, -inf)
        self.stopped = False

    def __call__(self, step: int, returns: Sequence[float]) -> None:
        """Receives the mean returns of the seeds after an evaluation."""
        iqm, low, high, _ = aggregate([x if x < inf else -inf for x in returns])
        self.last = Evaluation(step, iqm, low, high)
        if step < self.budget and (self.should_stop(self.last) or iqm == -inf):
            self.stopped = self.stop.requested = True
