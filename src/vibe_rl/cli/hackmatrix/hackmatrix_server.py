"""`vibe-rl hackmatrix-server`."""

import sys
from collections.abc import Sequence

from vibe_rl.cli.shared.options import parse_words


def hackmatrix_server(args: Sequence[str]) -> None:
    """Plays HackMatrix for another program, which writes to stdin and reads stdout."""
    from vibe_rl.env.hackmatrix.reference.line_protocol.server import Server, serve  # noqa: PLC0415

    serve(sys.stdin.buffer, sys.stdout.buffer, Server(shaping(args)))


def shaping(args: Sequence[str]) -> str:
    """The option `--shaping`; without words the parser, which takes a while, is not imported."""

    def options(shaping: str = "published") -> str:
        """The game in plain Python: a line of JSON in, such as {"action": "reset"}, one out.

        Args:
            shaping: Whether coming nearer to the exit is paid (published), or going away costs as
                much besides (signed).
        """
        return shaping

    return parse_words(options, args, "vibe-rl hackmatrix-server") if args else "published"
