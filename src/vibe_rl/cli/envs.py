"""`vibe-rl envs`."""

from collections.abc import Sequence


def envs(args: Sequence[str]) -> None:
    """Prints the names of the environments, a line each."""
    from vibe_rl.env.registry import names  # noqa: PLC0415

    print("\n".join(names()))
