"""`vibe-rl envs`."""

from collections.abc import Sequence

from vibe_rl.cli.options import asks_help
from vibe_rl.errors import ConfigError


def envs(args: Sequence[str]) -> None:
    """Prints the names of the environments, a line each."""
    if asks_help(args):
        print("usage: vibe-rl envs")
        return
    if args:
        raise ConfigError(f"vibe-rl envs takes no words: leave out {' '.join(args)}.")
    from vibe_rl.env.registry import names  # noqa: PLC0415

    print("\n".join(names()))
