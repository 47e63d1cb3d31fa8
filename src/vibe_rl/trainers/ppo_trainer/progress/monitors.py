"""When a training has done enough: rules over the returns of its episodes, one at a time.

A monitor is plain Python. Fed with the same returns it says the same again, so a resumed training
feeds it those of before.
"""

import math
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

from typing_extensions import override

from vibe_rl.errors import ConfigError, Typed, unknown

MODES = ("sustained", "legacy")


class Status(NamedTuple):
    """What a monitor says after an episode."""

    rolling: float | None  # mean return of the last window; None before there is a whole one
    count: int  # checks in a row that speak for stopping
    reached: bool  # whether the mean has ever been at the target
    converged: bool  # whether it is there now, and has been there long enough
    stop: bool  # whether the training has done enough


@runtime_checkable
class Monitor(Protocol):
    """A rule that ends a training early."""

    reason: str
    """What `results["stop_reason"]` is then."""
    best: float | None
    """The best mean so far."""
    reached_episode: int | None
    """The number of episodes after which the target was reached first."""
    convergence_episode: int | None
    """The number of episodes after which the rule was fulfilled first."""

    def update(self, episode_return: float) -> Status:
        """Takes note of the next episode."""
        ...


class Window:
    """The mean of the last `size` numbers, in float64.

    Raises:
        ValueError: a number is NaN.
    """

    def __init__(self, size: int):
        self.last: deque[float] = deque(maxlen=size)
        self.seen = 0

    def add(self, number: float) -> float | None:
        """The mean with one more number; None before there are enough."""
        self.seen += 1
        if math.isnan(number):
            raise ValueError(f"the return of episode {self.seen} is NaN: see what the env rewards.")
        self.last.append(float(number))
        return math.fsum(self.last) / len(self.last) if len(self.last) == self.last.maxlen else None


NOTHING_YET = Status(None, 0, reached=False, converged=False, stop=False)
"""Before there is a whole window."""


@dataclass
class WindowMonitor(Typed, ABC):
    """The base of rules over the mean return of the last `window` episodes."""

    best: float | None = field(default=None, init=False)
    reached_episode: int | None = field(default=None, init=False)
    convergence_episode: int | None = field(default=None, init=False)
    reason: str = field(default="", init=False)

    def watch(self, window: int) -> None:
        """Begins to take means over so many episodes."""
        self._returns, self._count = Window(window), 0

    def update(self, episode_return: float) -> Status:
        """Takes note of the next episode.

        Raises:
            ValueError: its return is NaN.
        """
        rolling = self._returns.add(episode_return)
        if rolling is None:
            return NOTHING_YET
        status = self.judge(rolling)
        self.best = rolling if self.best is None else max(self.best, rolling)
        if status.reached and self.reached_episode is None:
            self.reached_episode = self._returns.seen
        if (status.converged or status.stop) and self.convergence_episode is None:
            self.convergence_episode = self._returns.seen
        return status

    @abstractmethod
    def judge(self, rolling: float) -> Status:
        """What is said of a mean; `best` is still that of the means before."""


@dataclass
class ConvergenceMonitor(WindowMonitor):
    """Stops once the mean return of a window has been at the target, `patience` times in a row.

    Args:
        target: mean return to reach.
        window: episodes in the mean.
        patience: checks in a row at the target or above, the first included; up to 1 the first one
            is enough.
        mode: `sustained`, or `legacy` for the rule of seed 002: it counts the checks at the target
            or above that are no new best, forgets none of them when the mean falls, and calls a
            training converged whose best mean was at the target once.

    Raises:
        ConfigError: the window holds no episode, or the mode is unknown.
    """

    target: float
    window: int = 100
    patience: int = 10
    mode: str = "sustained"
    reason: str = field(default="converged", init=False)

    def __post_init__(self):
        super().__post_init__()
        if math.isnan(self.target):
            raise ConfigError("target nan of ConvergenceMonitor: give a number.")
        if self.window < 1:
            raise ConfigError(f"convergence_window {self.window}: give at least 1.")
        if self.mode not in MODES:
            raise unknown("mode of a ConvergenceMonitor", self.mode, MODES)
        self.watch(self.window)

    @override
    def judge(self, rolling: float) -> Status:
        at_target, is_best = rolling >= self.target, self.best is None or rolling > self.best
        self._count = self._counted(at_target, is_best)
        return self._status(rolling, at_target)

    def _counted(self, at_target: bool, is_best: bool) -> int:
        """The checks that speak for stopping."""
        if self.mode == "sustained":
            return self._count + 1 if at_target else 0
        if not at_target:
            return self._count
        return 0 if is_best else self._count + 1

    def _status(self, rolling: float, at_target: bool) -> Status:
        reached = at_target or self.reached_episode is not None
        if self.mode == "sustained":
            stop = at_target and self._count >= max(1, self.patience)
            converged = stop
        else:
            stop = at_target and self._count >= self.patience
            converged = reached
        return Status(rolling, self._count, reached, converged, stop)


@dataclass
class PlateauMonitor(WindowMonitor):
    """Stops once the mean return of a window has not risen for `patience` episodes.

    Args:
        min_delta: by how much a mean has to exceed the best one to be a rise.
        patience: episodes after the last rise.
        window: episodes in the mean.

    Raises:
        ConfigError: a number is out of its bounds.
    """

    min_delta: float = 1.0
    patience: int = 200
    window: int = 100
    reason: str = field(default="plateau", init=False)

    def __post_init__(self):
        super().__post_init__()
        for name, least in (("min_delta", 0), ("patience", 1), ("window", 1)):
            if not getattr(self, name) >= least:
                raise ConfigError(
                    f"{name} {getattr(self, name)} of PlateauMonitor: give at least {least}."
                )
        self.watch(self.window)
        self._level = -math.inf

    @override
    def judge(self, rolling: float) -> Status:
        if rolling > self._level + self.min_delta:
            self._level, self._count = rolling, 0
        else:
            self._count += 1
        stop = self._count >= self.patience
        return Status(rolling, self._count, reached=False, converged=False, stop=stop)
