"""`--auto-scale` and `--auto-tune`: sizes that nobody typed, settled before a run begins."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vibe_rl.cli.shared.options import pop_flag
from vibe_rl.cli.tune import tuned
from vibe_rl.errors import ConfigError

if TYPE_CHECKING:
    from vibe_rl.configs import TrainConfig

SCALE, TUNE = "--auto-scale", "--auto-tune"


def check_sizing(resumed: str | None, words: Sequence[str]) -> None:
    """Raises ConfigError if a run that is resumed is to have other sizes."""
    for flag in (SCALE, TUNE):
        if resumed is not None and pop_flag(flag, words)[0]:
            raise ConfigError(f"{flag} with --resume: a run keeps its sizes, leave it out.")


def parse_sized(words: Sequence[str]) -> "TrainConfig":
    """The config of a preset and fields, with the sizes that the two flags ask for."""
    from vibe_rl.configs import cli  # noqa: PLC0415
    from vibe_rl.configs.command_line import preset_of, typed_fields  # noqa: PLC0415

    scale, words = pop_flag(SCALE, words)
    tune, words = pop_flag(TUNE, words)
    config = cli(words)
    if not (scale or tune):
        return config
    return sized(config, preset_of(words), set(typed_fields(words)), tune)


def sized(
    config: "TrainConfig", reference: "TrainConfig", typed: set[str], tune: bool
) -> "TrainConfig":
    """The config with sizes by rule or, with `tune`, by measurement; prints them.

    Raises:
        ConfigError: an update cannot be cut like that.
    """
    from vibe_rl.configs.scaling import (  # noqa: PLC0415
        auto_scaled,
        check_split,
        describe_scaling,
    )

    if tune:
        return tuned(config, reference, typed)
    config = auto_scaled(config, reference, typed)
    check_split(config)
    print(f"Sizes | {describe_scaling(config, reference)}")
    return config
