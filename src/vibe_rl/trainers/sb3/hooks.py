"""What SB3 calls while it trains; imported only where it is installed."""

import math
import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from sb3_contrib.common.maskable.callbacks import MaskableEvalCallback  # pyright: ignore
from stable_baselines3.common.callbacks import BaseCallback, CallbackList  # pyright: ignore
from stable_baselines3.common.logger import (  # pyright: ignore
    HumanOutputFormat,
    KVWriter,
    Logger,
)

from vibe_rl.system.signals import StopRequest
from vibe_rl.tracking.base import Tracker
from vibe_rl.trainers.sb3.episodes import row_of
from vibe_rl.trainers.sb3.place import Place
from vibe_rl.trainers.sb3.settings import Settings

N_EVALUATED = 5  # episodes of an evaluation

OURS = {
    "eval/mean_reward": "eval_return",
    "eval/mean_ep_length": "eval_length",
    "time/fps": "steps_per_second",
}
"""What the library calls by another name; `rollout/` and `train/` stay as they are."""


class TrackerFormat(KVWriter):
    """Writes what SB3 logs to a tracker."""

    def __init__(self, tracker: Tracker):
        self.tracker = tracker

    def write(self, values: Mapping[str, Any], excluded: Mapping[str, Any], step: int = 0) -> None:
        """Logs the numbers of one moment."""
        row = {OURS.get(name, name): x for name, x in values.items() if np.ndim(x) == 0}
        self.tracker.log({n: x for n, x in row.items() if not isinstance(x, str)}, step)

    def close(self) -> None:
        """Nothing is held; the tracker is closed by who made it."""


class EpisodeRows(BaseCallback):
    """Logs a row for each episode that ends."""

    def __init__(self, tracker: Tracker, count: int):
        super().__init__()
        self.tracker, self.count = tracker, count

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            if "episode" in info:
                self.count += 1
                row = row_of(info, self.num_timesteps, self.count)
                self.tracker.log(row, self.num_timesteps)
        return True


class Every(BaseCallback):
    """Does something with the model every so many steps that all environments make together."""

    def __init__(self, n_calls: int, do: Callable[[Any], object]):
        super().__init__()
        self.every, self.do = n_calls, do

    def _on_step(self) -> bool:
        if self.n_calls % self.every == 0:
            self.do(self.model)
        return True


class StopWhenAsked(BaseCallback):
    """Ends the training after the step in which somebody asks for it."""

    def __init__(self, stop: StopRequest):
        super().__init__()
        self.stop = stop

    def _on_step(self) -> bool:
        return not self.stop.requested


class _Evaluation(MaskableEvalCallback):
    """SB3's evaluation with masks, which ends early where somebody asks the training to end."""

    def __init__(self, envs: Any, stop: StopRequest, **how: Any):
        super().__init__(envs, deterministic=True, warn=False, verbose=0, **how)
        self.stop = stop

    def _log_success_callback(self, *step: Any) -> None:
        if self.stop.requested:
            raise _AskedError
        super()._log_success_callback(*step)

    def _on_step(self) -> bool:
        try:
            return super()._on_step()
        except _AskedError:
            return False


class _AskedError(Exception):
    """Somebody has asked the training to end."""


class Hooks(NamedTuple):
    """All of them."""

    callbacks: CallbackList
    episodes: EpisodeRows
    evaluation: _Evaluation


def make_hooks(
    settings: Settings, place: Place, tracker: Tracker, evaluated: Any, stop: StopRequest
) -> Hooks:
    """What logs, saves, evaluates and ends a training; see `learn`."""
    models = place.models
    episodes = EpisodeRows(tracker, place.episodes)
    evaluation = _Evaluation(
        evaluated,
        stop,
        n_eval_episodes=N_EVALUATED,
        eval_freq=settings.calls(settings.eval_freq),
        callback_on_new_best=Every(1, lambda model: models.save(model, "best")),
    )
    best = place.best_return
    evaluation.best_mean_reward = -math.inf if best is None else best
    saving = Every(settings.calls(settings.save_freq), models.save_periodic)
    callbacks = CallbackList([episodes, saving, evaluation, StopWhenAsked(stop)])
    return Hooks(callbacks, episodes, evaluation)


def make_logger(tracker: Tracker, to_stdout: bool) -> Logger:
    """SB3's logger, which writes to a tracker, and a table for people if it is wanted."""
    table = [HumanOutputFormat(sys.stdout)] if to_stdout else []
    return Logger(None, [TrackerFormat(tracker), *table])
