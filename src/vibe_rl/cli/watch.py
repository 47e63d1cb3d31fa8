"""`vibe-rl watch`."""

from collections.abc import Sequence

import tyro

from vibe_rl.cli.shared.options import parse_words
from vibe_rl.cli.shared.players import AnyPlayer


def watch(args: Sequence[str]) -> None:
    """Shows an agent at play."""

    def options(
        player: AnyPlayer,
        best: tyro.conf.FlagCreatePairsOff[bool] = False,
        episodes: int = 3,
        speed: float = 10.0,
    ):
        """An agent at play: on a terminal as pictures, elsewhere a line for each env step.

        Keys: space pauses, n takes a single step, + and - change the speed, r begins the next
        episode, q quits.

        Args:
            player: Who plays.
            best: The agent of the best evaluation instead of the latest.
            episodes: How many.
            speed: Env steps a second, on a terminal.
        """
        return player, best, {"episodes": episodes, "speed": speed}

    player, best, how = parse_words(options, args, "vibe-rl watch")
    subject = player.find(best)
    from vibe_rl.watching import watch as show  # noqa: PLC0415

    show(subject, **how, **player.limits)
