"""`vibe-rl train-sb3`: MaskablePPO of sb3-contrib on HackMatrix, with seed 003's flags."""

import logging
import shlex
from collections.abc import Sequence
from typing import Any

from vibe_rl.cli.shared.options import parse_words
from vibe_rl.cli.shared.output import print_result
from vibe_rl.errors import shown

COMMAND = "vibe-rl train-sb3"


def train_sb3(args: Sequence[str]) -> None:
    """Trains, and prints how it ended."""
    from vibe_rl.trainers.sb3 import Settings, train_masked_ppo  # noqa: PLC0415 - takes a second

    settings = parse_words(Settings, args, COMMAND)
    if settings.debug:
        logging.basicConfig(level=logging.DEBUG)
    print_result(lambda: train_masked_ppo(settings), print_outcome)


def print_outcome(*fields: Any) -> None:
    """Prints how a training ended, and how to go on if it was interrupted."""
    from vibe_rl.trainers.sb3 import Outcome  # noqa: PLC0415 - takes a second

    outcome = Outcome(*fields)
    interrupted = outcome.model.name.startswith("interrupted")
    steps = f"{outcome.step:,} env steps, {outcome.episodes:,} episodes"
    print(f"Training {'interrupted' if interrupted else 'complete'} | {steps}")
    if outcome.best_return is not None:
        print(f"Best evaluation | return {outcome.best_return:.2f}")
    print(f"Model | {shown(outcome.model)}")
    print(f"Run | {outcome.run_dir}")
    if interrupted:
        words = ["--resume", shown(outcome.model), "--timesteps", str(outcome.timesteps)]
        print(f"Resume with | {COMMAND} {shlex.join(words)}")
