"""The program `vibe-rl`: its commands, and how it ends."""

import signal
import sys
from collections.abc import Callable, Sequence

from vibe_rl.cli.compare import compare
from vibe_rl.cli.evaluate import evaluate
from vibe_rl.cli.evolve import evolve
from vibe_rl.cli.plot import plot
from vibe_rl.cli.search import search
from vibe_rl.cli.sweep import sweep
from vibe_rl.cli.train import train
from vibe_rl.errors import ConfigError, NonFiniteLossError, unknown


def envs(args: Sequence[str]) -> None:
    """List the environments that have a name."""
    from vibe_rl.env.registry import names  # noqa: PLC0415

    print("\n".join(names()))


COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {
    "train": train,
    "sweep": sweep,
    "evolve": evolve,
    "search": search,
    "evaluate": evaluate,
    "plot": plot,
    "compare": compare,
    "envs": envs,
}


def usage() -> str:
    """All commands, a line each."""
    lines = [f"  {name:10s}{(command.__doc__ or '').strip()}" for name, command in COMMANDS.items()]
    return "\n".join(["usage: vibe-rl COMMAND ...", "", *lines])


def end_at_ctrl_c() -> None:
    """Leaves Ctrl-C to the system: it ends the process at once, even while it compiles.

    A run takes over the first one while it trains, to end with a checkpoint.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def main(args: Sequence[str] | None = None) -> None:
    """Runs one command; what the user got wrong ends it with one sentence and exit status 2."""
    if args is None:
        end_at_ctrl_c()
    words = list(sys.argv[1:] if args is None else args)
    if not words or words[0] in ("-h", "--help"):
        print(usage())
        return
    try:
        if words[0] not in COMMANDS:
            raise unknown("command", words[0], COMMANDS)
        COMMANDS[words[0]](words[1:])
    except (ConfigError, NonFiniteLossError) as error:
        print(f"vibe-rl: {error}", file=sys.stderr)
        raise SystemExit(2 if isinstance(error, ConfigError) else 1) from None
