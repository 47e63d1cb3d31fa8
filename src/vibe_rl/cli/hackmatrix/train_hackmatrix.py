"""`vibe-rl train-hackmatrix`: the program of seed 003, over the library's ordinary loop."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from vibe_rl.cli.hackmatrix.names import settings_of_trackers
from vibe_rl.cli.hackmatrix.options import (
    Options,
    check_options,
    typed_of,
    with_intervals,
    with_least_budget,
    with_options,
)
from vibe_rl.cli.shared.options import parse_words
from vibe_rl.cli.shared.output import print_result
from vibe_rl.cli.shared.sizing import sized
from vibe_rl.cli.train import print_run
from vibe_rl.run_dir.run_names import next_run_name
from vibe_rl.tracking.base import Tracker
from vibe_rl.tracking.settings import Translated, WandbSettings, read_settings

if TYPE_CHECKING:
    from vibe_rl.configs import TrainConfig
    from vibe_rl.run_dir.directory import RunDir
    from vibe_rl.runner.fit import FitResult

PREFIX, PROJECT = "hackmatrix-jax", "hackmatrix"
LOG_INTERVAL, MINUTES = 10, 10.0
"""Updates between rows, and minutes between checkpoints, where nothing else is given."""


class UpdateLines(Tracker):
    """A line a row: the update, the seconds since the program began, and every metric.

    Args:
        tell: prints a line.
        clock: tells seconds.
    """

    def __init__(
        self, tell: Callable[[str], Any] = print, clock: Callable[[], float] = time.monotonic
    ):
        self._tell, self._clock, self._began = tell, clock, clock()

    @override
    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        if "train/update_step" not in metrics:
            return
        row = dict(metrics)
        update, seconds = int(row.pop("train/update_step")), self._clock() - self._began
        speed = row.pop("train/updates_per_second", None)
        parts = [f"update {update:,}", f"{seconds:.1f} s"]
        parts += [] if speed is None else [f"{speed:.2f} updates/s"]
        shown = (name for name in row if not name.startswith("key/") and row[name] is not None)
        self._tell(" | ".join([*parts, *(f"{name} {row[name]:.4f}" for name in shown)]))


def train_hackmatrix(args: Sequence[str]) -> None:
    """Trains HackMatrix, or resumes a run."""
    options: Options = parse_words(Options, args, "vibe-rl train-hackmatrix")
    check_options(options)
    began = time.monotonic()

    def show(run_dir: "RunDir", result: "FitResult") -> None:
        print_run(run_dir, result, plot=False)
        print(f"Time | {time.monotonic() - began:.1f} s")

    begin = begin_new if options.resume is None else resume_old
    print_result(partial(begin, options), show)


def begin_new(options: Options) -> "tuple[RunDir, FitResult]":
    """Trains a new run."""
    from vibe_rl.configs.hackmatrix import PUBLISHED  # noqa: PLC0415
    from vibe_rl.experiment import train  # noqa: PLC0415

    config = new_config(options, PUBLISHED)
    suffix = options.run_suffix or ("curriculum" if options.curriculum else None)
    name = options.run_name or next_run_name(options.checkpoint_dir, PREFIX, date.today(), suffix)
    project = options.project or PROJECT
    where = WandbSettings(project, options.entity, artifacts=not options.no_artifact)
    told = settings_of_trackers(batch_of(config), where)
    print_banner(name, config)
    lines = Translated(UpdateLines(), told, keep_others=False)
    how = {"run_id": name, "tracking": told, "trackers": [lines]}
    return train(config, options.checkpoint_dir, **how)  # type: ignore[return-value]


def new_config(options: Options, published: "TrainConfig") -> "TrainConfig":
    """The config of a new run: what is given, and what follows from it."""
    config = with_options(published, options)
    config = sized(config, published, typed_of(options), options.auto_tune)
    how = {"track": ("wandb",), "progress_bar": False, "save_params": True}
    runner = replace(config.runner, **how)
    config, batch = replace(config, runner=runner), batch_of(config)
    minutes = options.save_interval_minutes
    given = replace(
        options,
        log_interval=options.log_interval or LOG_INTERVAL,
        save_interval_minutes=MINUTES if minutes is None else minutes,
    )
    return with_least_budget(with_intervals(config, given, batch), batch)


def resume_old(options: Options) -> "tuple[RunDir, FitResult]":
    """Resumes a run with its own sizes, changed by what is given."""
    from vibe_rl.experiment import resume  # noqa: PLC0415
    from vibe_rl.experiment.config_files import read_config  # noqa: PLC0415
    from vibe_rl.experiment.rewinding import locate  # noqa: PLC0415
    from vibe_rl.run_dir.directory import RunDir  # noqa: PLC0415

    assert options.resume is not None
    run = locate(options.resume).run
    config = with_options(read_config(run), options)
    config = with_intervals(config, options, batch_of(config))
    told = read_settings(RunDir.open(run))
    print_banner(run.name, config)
    lines = Translated(UpdateLines(), told, keep_others=False)
    return resume(options.resume, config, trackers=[lines], rewind=options.rewind)


def batch_of(config: "TrainConfig") -> int:
    """Env steps of an update."""
    from vibe_rl.configs.scaling import sizes_of  # noqa: PLC0415

    return sizes_of(config).batch


def print_banner(name: str, config: "TrainConfig") -> None:
    """Prints what is about to be trained, and on what."""
    import jax  # noqa: PLC0415

    device, n_devices = jax.devices()[0], jax.device_count()
    print(f"HackMatrix | {name}")
    print(f"Device | {device.device_kind} x {n_devices}, backend {jax.default_backend()}")
    shown = {**asdict(config.algo), "total_timesteps": config.runner.total_timesteps}
    shown |= {"seed": config.runner.seed, "env_schedule": config.env_schedule}
    given = ", ".join(f"{key} {value}" for key, value in shown.items() if value is not None)
    print(f"Config | {given}")
    print("Compiling | the first line of metrics comes after it ...", flush=True)
