"""`vibe-rl tune`, and what `vibe-rl train --auto-tune` shows."""

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vibe_rl.cli.shared.options import asks_help, parse_seconds, pop_option
from vibe_rl.cli.shared.output import format_table

if TYPE_CHECKING:
    from vibe_rl.configs import TrainConfig
    from vibe_rl.experiment.tuning import Stopwatch, Tuned

HELP = """usage: vibe-rl tune PRESET [--seconds 2] [--budget 120] [fields]

Measures a few numbers of envs and of minibatches on this device, and prints the command that trains
with the ones it chose. Fields that are given stay as they are; only PPO has such sizes.
--seconds is for each size, --budget for all: no other size is begun after it.
Fields: vibe-rl train PRESET --help. To tune and train at once: vibe-rl train PRESET --auto-tune."""


def tune(args: Sequence[str]) -> None:
    """Measures sizes, and prints the fastest reasonable ones and the command that takes them."""
    if asks_help(args):
        print(HELP)
        return
    seconds, words = pop_option("--seconds", args)
    budget, words = pop_option("--budget", words)
    from vibe_rl.configs import cli  # noqa: PLC0415
    from vibe_rl.configs.command_line import preset_of, typed_fields  # noqa: PLC0415
    from vibe_rl.experiment.tuning import BUDGET, SECONDS, Stopwatch  # noqa: PLC0415

    watch = Stopwatch(
        SECONDS if seconds is None else parse_seconds("--seconds", seconds),
        BUDGET if budget is None else parse_seconds("--budget", budget),
    )
    config = cli(words)
    chosen = tuned(config, preset_of(words), set(typed_fields(words)), watch)
    command = ["vibe-rl", "train", *words, *changed_fields(config, chosen)]
    print(f"Train with | {shlex.join(command)}")


def tuned(
    config: "TrainConfig",
    reference: "TrainConfig",
    typed: set[str],
    watch: "Stopwatch | None" = None,
) -> "TrainConfig":
    """The config with the sizes that were chosen; prints what was measured and why."""
    from vibe_rl.experiment.tuning import tune as choose  # noqa: PLC0415

    print("Tuning | each size is compiled and run for some seconds ...", flush=True)
    found = choose(config, reference, typed, watch)
    print(tuning_table(found))
    return found.chosen.config


def tuning_table(found: "Tuned") -> str:
    """The sizes that were measured, and why one was chosen."""
    from vibe_rl.configs.scaling import sizes_of  # noqa: PLC0415
    from vibe_rl.experiment.tuning import NEARLY  # noqa: PLC0415

    rows = [("envs", "minibatches", "epochs", "lr", "compile s", "env steps/s", "")]
    for each in found.measured:
        sizes, times = sizes_of(each.config), (each.compile_seconds, each.steps_per_second)
        names = f"{each.num_envs:,}", f"{sizes.n_minibatches}", f"{sizes.n_epochs}"
        mark = "chosen" if each is found.chosen else ""
        lr = f"{each.config.algo.lr:g}"
        rows.append((*names, lr, f"{times[0]:.1f}", f"{times[1]:,.0f}", mark))
    why = f"Chosen | the fewest envs within {1 - NEARLY:.0%} of the fastest, and the rule's "
    why += f"minibatches unless others are more than {1 - NEARLY:.0%} faster"
    late = [] if found.all_tried else ["Time is up | other sizes were not tried"]
    return "\n".join([format_table(rows, align_right=True), why, *late])


def changed_fields(before: "TrainConfig", after: "TrainConfig") -> list[str]:
    """The words that make one config the other, of the fields that tuning may change."""
    names = ("num_envs", "n_minibatches", "n_epochs", "lr", "lr_end")
    pairs = [(name, getattr(after.algo, name)) for name in names]
    changed = [(name, value) for name, value in pairs if value != getattr(before.algo, name)]
    return [word for name, value in changed for word in (f"--algo.{name}", str(value))]
