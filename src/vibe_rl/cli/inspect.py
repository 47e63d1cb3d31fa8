"""`vibe-rl inspect`."""

import sys
from collections.abc import Sequence

import tyro

from vibe_rl.cli.shared.options import parse_words
from vibe_rl.cli.shared.players import AnyPlayer


def inspect(args: Sequence[str]) -> None:
    """Prints what an agent thinks, step by step."""

    def options(
        player: AnyPlayer, best: tyro.conf.FlagCreatePairsOff[bool] = False, steps: int = 10
    ):
        """Each step of an episode: what is observed, the options and their scores, the reward.

        Args:
            player: Who plays.
            best: The agent of the best evaluation instead of the latest.
            steps: How many.
        """
        return player, best, steps

    player, best, steps = parse_words(options, args, "vibe-rl inspect")
    subject = player.find(best)
    from vibe_rl.watching import inspect as explain  # noqa: PLC0415

    unicode = (sys.stdout.encoding or "").lower() in ("utf-8", "utf8")
    for line in explain(subject, steps=steps, unicode=unicode, **player.limits):
        print(line)
