"""Saving a run so that it resumes as if it had never stopped.

A checkpoint holds the whole `TrainState` and, in its notes, what the host knows: how many updates
were made and the columns of the row that is not full yet.
"""

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np

from vibe_rl.checkpoint import initialize_checkpoint_dir, saved_steps
from vibe_rl.errors import reason
from vibe_rl.runner.config import share_for_saving
from vibe_rl.runner.evaluator import EvalMetrics
from vibe_rl.runner.loop import TrainState
from vibe_rl.runner.params_files import ParamsWriter
from vibe_rl.runner.resuming import CUT, RUN, columns_as_text, saved_part
from vibe_rl.runner.rows import Row
from vibe_rl.runner.run import Run
from vibe_rl.runner.schedule import next_due
from vibe_rl.system.notices import say_once
from vibe_rl.system.processes import greatest, wait_for_all

ATTEMPTS = 2
"""How often the last checkpoint of a run is tried."""


SECONDS, SECONDS_TOGETHER = 7200, 600
"""How long a checkpoint may take; of several processes, the others wait for one that fails."""


class Saver:
    """Saves a prepared run into a directory as its config asks.

    Args:
        run: see `prepare`.
        directory: of the checkpoints.
        notes: what is written down with every checkpoint.
        on_best: called with the step of a checkpoint that has become the best.
        write_params: writes what the agent acts with, after each checkpoint.
        clock: tells seconds.

    Raises:
        CheckpointExistsError: there are checkpoints, and neither resume nor overwrite is asked for.
    """

    def __init__(
        self,
        run: Run,
        directory: str | Path,
        notes: Mapping[str, Any] | None = None,
        on_best: Callable[[int], None] | None = None,
        write_params: ParamsWriter | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        config, self.on_best = run.config, on_best
        self._write_params, self._clock = write_params, clock
        self.run, self.notes = run, dict(notes or {})
        self.manager, _ = initialize_checkpoint_dir(
            directory,
            resume=config.resume,
            overwrite=config.overwrite,
            max_to_keep=config.max_checkpoints,
            keep_period=config.keep_period,
            async_timeout_secs=SECONDS if jax.process_count() == 1 else SECONDS_TOGETHER,
            best_fn=eval_return,
            best_mode="max",
        )
        self.say: Callable[[str], object] = lambda text: None  # for people who wait
        self._saved_at, self._best = clock(), -np.inf
        self._mark_best()
        self._under_way: int | None = None  # the step of the checkpoint that is being written
        self._cost = 0.0  # seconds for which the last save kept the loop waiting

    def next_save(self, update: int) -> int:
        """The next update after which the number of steps asks for a checkpoint."""
        return min(
            self._next_at(self.run.config.checkpoint_interval, update), self.next_kept(update)
        )

    def next_kept(self, update: int) -> int:
        """The next update whose checkpoint is kept for good, or else the run's last."""
        return self._next_at(self.run.config.keep_period, update)

    def _next_at(self, interval: int | None, update: int) -> int:
        """The next update that reaches a multiple of so many env steps, within the run."""
        n_updates = self.run.n_updates
        if not interval:
            return n_updates
        return min(next_due(interval, self.run.steps_per_update, update), n_updates)

    def due(self, update: int, scores: EvalMetrics | None) -> bool:
        """Whether steps, minutes or the best evaluation so far ask for a checkpoint now.

        Of several processes, all save when it is due for one.
        """
        if self._under_way is not None and not greatest(self.manager.busy):
            self.settle()
        minutes = self.run.config.checkpoint_minutes
        late = minutes is not None and self._clock() - self._saved_at >= 60 * minutes
        kept = self.next_kept(update - 1) == update < self.run.n_updates
        by_steps = self.next_save(update - 1) == update and (kept or self._is_affordable())
        return bool(greatest(late or by_steps or self.improves(scores)))

    def _is_affordable(self) -> bool:
        """Whether saving takes no more than its share of the time; tells if a default says no."""
        config, share = self.run.config, share_for_saving(self.run.config)
        if share >= 1 or self._cost <= share * (self._clock() - self._saved_at):
            return True
        if config.checkpoint_share is None:
            say_once(
                f"checkpoints are fewer than one every {config.checkpoint_interval} env steps, to "
                f"take at most {share:.0%} of the time: give runner.checkpoint_share 1 to have all."
            )
        return False

    def improves(self, scores: EvalMetrics | None) -> bool:
        """Whether it is the best evaluation so far."""
        return scores is not None and float(scores.mean_return) > self._best

    def save(
        self,
        update: int,
        state: TrainState,
        unfinished: Sequence[Row],
        scores: EvalMetrics | None,
        replace: bool = False,
    ) -> None:
        """Saves everything; what was evaluated goes with its figure.

        With `replace` also where the step is saved already, but without its evaluation.
        """
        figure = np.nan if scores is None else float(scores.mean_return)
        metrics = {"eval_return": figure} if np.isfinite(figure) else None
        notes = {
            "holds": RUN,
            "update": update,
            CUT: self.run.due.is_cut(update, scores),
            "unfinished": [columns_as_text(columns) for columns in unfinished],
            "algorithm": type(self.run.algorithm).__name__,
            "replay": self.run.config.checkpoint_replay,
        }
        step = update * self.run.steps_per_update
        tree = saved_part(self.run, state, self.run.config.checkpoint_replay)
        how = {"metrics": metrics, "metadata": self.notes | notes, "force": True}
        how |= {"replace": replace}
        began = self._clock()
        self.settle()  # what went wrong before must not keep this one from being written
        with warn_on_failure(f"the checkpoint of step {step}"):
            self.manager.save(step, tree, **how)  # type: ignore[arg-type]
            self._under_way = step
            self._best = float(np.fmax(self._best, figure))
        if self._write_params is not None:
            with warn_on_failure(f"params_{update}.npz"):
                self._write_params(update, state)
        self.took(self._clock() - began)

    def took(self, seconds: float) -> None:
        """Takes note of how long the loop has just waited for all that it saves."""
        self._saved_at, self._cost = self._clock(), seconds

    def finish(
        self,
        update: int,
        state: TrainState,
        unfinished: Sequence[Row],
        scores: EvalMetrics | None,
    ) -> None:
        """Sees to it that the end of the run is on the disk, and tries again if it is not."""
        for _ in range(ATTEMPTS):
            self.settle()
            step = update * self.run.steps_per_update
            if not greatest(step not in saved_steps(self.manager.directory)):
                return
            self.save(update, state, unfinished, scores)

    def settle(self) -> None:
        """Waits for the checkpoint that is being written, and warns if it cannot be."""
        step, self._under_way = self._under_way, None
        with warn_on_failure("a checkpoint" if step is None else f"the checkpoint of step {step}"):
            self.manager.wait()
        wait_for_all()  # for the others have written their parts too then
        with warn_on_failure("the mark of the best checkpoint"):
            self._mark_best()

    def _mark_best(self) -> None:
        """Takes note of the best checkpoint that is complete."""
        step = self.manager.best_step()
        self._best = -np.inf if step is None else self.manager.metrics(step)["eval_return"]
        if step is not None and self.on_best is not None:
            self.on_best(step)

    def close(self) -> None:
        """Waits until everything is on the disk."""
        self.settle()
        with warn_on_failure("a checkpoint"):
            self.manager.close()


@contextmanager
def warn_on_failure(what: str) -> Iterator[None]:
    """Turns a failed write into a warning.

    Among several processes it stays an error: the others wait for this one to write its part.
    """
    try:
        yield
    except Exception as error:  # of Orbax or the file system
        if jax.process_count() > 1:
            raise
        warnings.warn(
            f"{what} could not be written ({type(error).__name__}: {reason(error)}): training "
            "continues, and earlier checkpoints are as they were.",
            RuntimeWarning,
            stacklevel=2,
        )


def eval_return(metrics: Mapping[str, float]) -> float:
    """What the best checkpoint is best in."""
    return metrics["eval_return"]
