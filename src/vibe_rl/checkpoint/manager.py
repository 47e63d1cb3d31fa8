"""The checkpoints of one run: written in the background, old ones removed, the best kept.

Orbax does the work. Every checkpoint has the format of `save_checkpoint` and can be read alone.
"""

import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import jax

from vibe_rl.checkpoint.format import load_checkpoint, save_args, saved_steps
from vibe_rl.checkpoint.orbax_logs import quieten_orbax
from vibe_rl.errors import ConfigError, reason, short, shown, unknown, whole_number, writing
from vibe_rl.run_dir.plain import as_json
from vibe_rl.system.processes import greatest, is_first, run_on_first
from vibe_rl.types import PyTree

Merit = Callable[[Mapping[str, float]], float]
MODES = ("min", "max")
STEP = "step"
"""What the manager adds to the metrics."""
REPLACED = "replaced_"
"""How the name of a checkpoint begins while its successor is being written."""


class CheckpointManager:
    """The checkpoints `step_N` of a directory.

    Args:
        directory: created if missing.
        max_to_keep: how many of the newest are kept; None keeps all.
        keep_period: the first to reach each multiple of it is kept for good.
        save_interval_steps: `save` skips steps that are not multiples of it.
        async_timeout_secs: seconds that a write may take in the background; None writes before
            `save` returns.
        best_fn: the figure of merit in the metrics of a save; the best checkpoint is kept, however
            old it is.
        best_mode: whether `"min"` or `"max"` of the figure is best.

    Raises:
        ConfigError: a setting that cannot work.
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        max_to_keep: int | None = 5,
        keep_period: int | None = None,
        save_interval_steps: int = 1,
        async_timeout_secs: int | None = 7200,
        best_fn: Merit | None = None,
        best_mode: str = "min",
    ):
        import orbax.checkpoint as ocp  # noqa: PLC0415 - a third of a second

        for name in ("max_to_keep", "keep_period", "save_interval_steps", "async_timeout_secs"):
            if locals()[name] is not None:
                whole_number(name, locals()[name], 1)
        if not (best_fn is None or callable(best_fn)):
            raise ConfigError(f"best_fn {short(best_fn)}: give a function of metrics, or None.")
        if best_mode not in MODES:
            raise unknown("best_mode", best_mode, MODES)
        self.directory = Path(directory).absolute()
        with writing(self.directory):
            run_on_first(partial(self.directory.mkdir, parents=True, exist_ok=True))
        self._replaces = False  # whether a checkpoint waits for its successor to be complete
        self._closed = False
        self._in_background = async_timeout_secs is not None
        self._rank = None if best_fn is None else partial(rank, best_fn, best_mode)
        quieten_orbax()
        options = ocp.CheckpointManagerOptions(
            step_prefix="step",
            save_interval_steps=save_interval_steps,
            preservation_policy=_preservation_policy(max_to_keep, keep_period, best_fn, best_mode),
            best_fn=best_fn,
            best_mode=best_mode,
            enable_async_checkpointing=self._in_background,
            create=False,
            **_waiting_options(async_timeout_secs or 7200),
        )
        how = {"item_names": ("state", "metadata"), "options": options}
        self._orbax = ocp.CheckpointManager(self.directory, **how)

    def save(
        self,
        step: int,
        tree: PyTree,
        *,
        metrics: Mapping[str, float] | None = None,
        metadata: Mapping[str, Any] | None = None,
        force: bool = False,
        replace: bool = False,
    ) -> bool:
        """Saves `tree` as `step_N`, if the step is due and not there already; returns whether.

        Args:
            step: env steps taken.
            tree: any pytree of arrays; it may be donated or changed as soon as this returns.
            metrics: what `best_fn` judges by.
            metadata: names and what JSON can hold, arrays as lists; `load_metadata` reads it.
            force: saves even if the step is not a multiple of the interval.
            replace: saves even if the step is there already; what is there is kept until the new
                one is complete.

        Raises:
            ConfigError: the manager is closed, nothing of the kind can be saved, or `best_fn`
                cannot judge such metrics.
        """
        step = whole_number("step", step)
        if self._closed:
            raise ConfigError(f"the manager of {shown(self.directory)} is closed: make another.")
        judged = self._judged(step, metrics) if metrics else None
        if replace and step in self.all_steps():
            self._set_aside(step)
        skipped = step in self.all_steps() or not (force or self._orbax.should_save(step))
        if greatest(skipped):
            return False
        how = {"args": save_args(tree, step, metadata, copy=self._in_background), "force": force}
        return self._orbax.save(step, metrics=judged, **how)

    def _judged(self, step: int, metrics: Mapping[str, float]) -> dict[str, Any]:
        """The metrics as they are written, which `best_fn` can judge when they are read."""
        written = as_json("metrics", metrics) | {STEP: step}
        try:
            if self._rank is not None:
                float(self._rank(written)[0])
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(
                f"metrics {short(dict(metrics))}: best_fn raises {type(error).__name__} "
                f"({reason(error)}), give what it reads."
            ) from error
        return written

    def restore(self, step: int | None = None, like: PyTree = None) -> PyTree:
        """The tree saved at `step`, or at the latest; see `load_checkpoint`.

        Raises:
            NoCheckpointError: there is none, or none of this step.
        """
        self.wait()
        latest = self.latest_step() if step is None else step
        return load_checkpoint(self.directory, like, step=latest)

    def latest_step(self) -> int | None:
        """The highest step of a checkpoint."""
        return max(self.all_steps(), default=None)

    def best_step(self) -> int | None:
        """The step of the best checkpoint; None without `best_fn` or metrics."""
        if self._rank is None:
            return None
        metrics = {step: self._orbax.metrics(step) for step in saved_steps(self.directory)}
        ranks = {step: self._rank(found) for step, found in metrics.items() if found}
        return max(ranks, key=lambda step: ranks[step], default=None)

    def metrics(self, step: int) -> dict[str, float]:
        """The metrics saved with the checkpoint of this step; empty if there were none."""
        return self._orbax.metrics(step) or {}

    def all_steps(self) -> list[int]:
        """The steps of the checkpoints, those being written included, in order."""
        return sorted(self._orbax.all_steps())

    @property
    def busy(self) -> bool:
        """Whether something is being written."""
        return self._orbax.is_saving_in_progress()

    def wait(self) -> None:
        """Waits until everything is on the disk."""
        try:
            self._orbax.wait_until_finished()
        finally:
            self._settle()

    def _set_aside(self, step: int) -> None:
        """Renames the checkpoint of a step that is to be replaced."""
        self.wait()
        self._replaces = True
        path = self.directory / f"step_{step}"
        run_on_first(lambda: path.rename(path.with_name(REPLACED + path.name)))
        self._orbax.reload()

    def _settle(self) -> None:
        """Sees to what was replaced, once nothing is under way."""
        if self._replaces and is_first():
            settle_replaced(self.directory)
        self._replaces = False

    def close(self) -> None:
        """Waits, and ends the background threads; a second call does nothing."""
        self._closed = True
        self._orbax.close()
        self._settle()

    def __enter__(self) -> "CheckpointManager":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def settle_replaced(directory: Path) -> None:
    """Deletes checkpoints that were replaced, and takes back those whose successor is missing.

    Nobody may be writing in the directory.
    """
    for replaced in directory.glob(f"{REPLACED}step_*"):
        path = directory / replaced.name.removeprefix(REPLACED)
        if (path / "state").is_dir():
            shutil.rmtree(replaced)
        else:
            replaced.rename(path)


def rank(best_fn: Merit, best_mode: str, metrics: Mapping[str, float]) -> tuple[float, int]:
    """The best checkpoint has the greatest rank; of equals the earliest. NaN is the worst."""
    figure = best_fn(metrics)
    merit = figure if best_mode == "max" else -figure
    return merit if merit == merit else -math.inf, -int(metrics[STEP])  # noqa: PLR0124 - not NaN


class Periodic(NamedTuple):
    """Orbax's policy that keeps the first checkpoint to reach each multiple of `period`.

    Steps grow by whole updates: an exact multiple may never be among them.
    """

    period: int

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        """Whether each is kept, in the order given."""
        steps = [checkpoint.step for checkpoint in checkpoints]
        return [
            step % self.period == 0 or step // self.period > before // self.period
            for before, step in pairwise([0, *steps])
        ]


def _preservation_policy(
    max_to_keep: int | None, keep_period: int | None, best_fn: Merit | None, best_mode: str
) -> Any:
    """Keeps the newest checkpoints, the periodic ones and the best."""
    from orbax.checkpoint.checkpoint_managers import preservation_policy  # noqa: PLC0415

    newest: Any = preservation_policy.LatestN(max_to_keep)
    policies = [newest if max_to_keep else preservation_policy.PreserveAll()]
    if keep_period is not None:
        policies.append(Periodic(keep_period))
    if best_fn is not None:
        figure: Any = partial(rank, best_fn, best_mode)
        how = {"n": 1, "keep_checkpoints_without_metrics": False}
        policies.append(preservation_policy.BestN(get_metric_fn=figure, **how))
    return preservation_policy.AnyPreservationPolicy(policies)


def _waiting_options(seconds: int) -> dict[str, Any]:
    """Orbax's options of which processes wait for each other and how long."""
    import orbax.checkpoint as ocp  # noqa: PLC0415

    processes = set(range(jax.process_count()))  # named, so that their barriers have time limits
    return {
        "multiprocessing_options": ocp.options.MultiprocessingOptions(active_processes=processes),
        "async_options": ocp.AsyncOptions(
            timeout_secs=seconds,
            create_directories_asynchronously=False,  # else threads wait for lost ones
        ),
    }
