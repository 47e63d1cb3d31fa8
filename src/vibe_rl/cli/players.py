"""What the commands share that let an agent or a person play."""

import os

from vibe_rl.errors import ConfigError


def compute_on_cpu() -> None:
    """Leaves accelerators to what trains beside this process, unless JAX_PLATFORMS is set.

    Call it before JAX is imported.
    """
    os.environ.setdefault("JAX_PLATFORMS", "cpu")


def source_of(run: str | None, latest: bool, replay: str | None) -> str:
    """The one thing that is to be played, by its path.

    Raises:
        ConfigError: nothing is named, or more than one.
    """
    if (run is not None) + latest + (replay is not None) != 1:
        raise ConfigError("name one run, or --latest, or --replay FILE: vibe-rl watch RUN.")
    if latest:
        from vibe_rl.watching import newest_run  # noqa: PLC0415

        return os.fspath(newest_run())
    return run if replay is None else replay  # type: ignore[return-value]
