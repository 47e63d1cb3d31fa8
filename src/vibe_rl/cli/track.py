"""`vibe-rl track`."""

from collections.abc import Sequence

from vibe_rl.cli.shared.options import asks_help, pop_option, split_names
from vibe_rl.errors import ConfigError
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.group import members

HELP = """usage: vibe-rl track RUN [RUN ...] --to tensorboard,wandb,mlflow,sqlite

Sends runs that are not being trained, or all members of groups, to trackers: metrics, config,
figures, best checkpoint. What a tracker has already is not sent again."""


def track(args: Sequence[str]) -> None:
    """Sends finished runs to trackers."""
    if asks_help(args):
        print(HELP)
        return
    from vibe_rl.tracking.named import check_names, send  # noqa: PLC0415

    to, paths = pop_option("--to", args)
    names = split_names(to) if to else []
    if not names or not paths:
        raise ConfigError("name runs and trackers: vibe-rl track RUN --to mlflow.")
    check_names(names)
    for path in paths:
        for run_dir in members(path) or [RunDir.open(path)]:
            for name in names:
                send(name, run_dir)
                print(f"Tracked | {run_dir} | {name}")
