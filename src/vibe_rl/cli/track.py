"""`vibe-rl track`."""

from collections.abc import Sequence
from typing import Any

from vibe_rl.cli.shared.options import asks_help, pop_option, split_names
from vibe_rl.errors import ConfigError
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.group import is_group, members
from vibe_rl.run_dir.manifest import newest_manifest

HELP = """usage: vibe-rl track RUN [RUN ...] --to tensorboard,wandb,mlflow,sqlite

Sends runs that are not being trained, or all members of groups, to trackers: metrics, config,
figures, best checkpoint. What a tracker has already is not sent again."""


def track(args: Sequence[str]) -> None:
    """Sends finished runs to trackers."""
    if asks_help(args):
        print(HELP)
        return
    from vibe_rl.tracking.named import check_names  # noqa: PLC0415

    to, paths = pop_option("--to", args)
    names = split_names(to) if to else []
    if not names or not paths:
        raise ConfigError("name runs and trackers: vibe-rl track RUN --to mlflow.")
    check_names(names)
    for path in paths:
        group = [RunDir.open(path)] if is_group(path) else []
        for run_dir in [*(members(path) or [RunDir.open(path)]), *group]:
            send_to_all(names, run_dir)


def send_to_all(names: Sequence[str], run_dir: RunDir) -> None:
    """Sends a run to trackers, or the files of a group to those that keep any."""
    from vibe_rl.tracking.named import TRACKERS, send  # noqa: PLC0415

    story = story_of_trainer(run_dir)
    for name in names:
        if TRACKERS[name].files or not is_group(run_dir):
            send(name, run_dir, story)
            print(f"Tracked | {run_dir} | {name}")


def story_of_trainer(run_dir: RunDir) -> Any:
    """What a `PPOTrainer` told its trackers; None of other runs."""
    if "trainer" not in newest_manifest(run_dir.root):
        return None
    from vibe_rl.trainers.ppo_trainer.retelling import story_of  # noqa: PLC0415

    return story_of(run_dir)
