"""`vibe-rl inspect`."""

import sys
from collections.abc import Sequence

from vibe_rl.cli.options import parse_words
from vibe_rl.cli.players import compute_on_cpu, source_of


def inspect(args: Sequence[str]) -> None:
    """Prints what an agent thinks, step by step."""
    import tyro  # noqa: PLC0415

    def options(
        run: tyro.conf.Positional[str | None] = None,
        *,
        latest: tyro.conf.FlagCreatePairsOff[bool] = False,
        best: tyro.conf.FlagCreatePairsOff[bool] = False,
        sample: tyro.conf.FlagCreatePairsOff[bool] = False,
        steps: int = 10,
        seed: int | None = None,
    ):
        """Each step of an episode: what is observed, the options and their scores, the reward.

        Args:
            run: Directory of a run, or a file.
            latest: The newest run in runs/ instead.
            best: The agent of the best evaluation instead of the latest.
            sample: Draws actions as in training instead of taking the best.
            steps: How many.
            seed: Of a fresh episode; by default the first of its last evaluation.
        """
        return (run, latest, None), (best, sample), {"steps": steps, "seed": seed}

    source, wanted, how = parse_words(options, args, "vibe-rl inspect")
    compute_on_cpu()
    from vibe_rl.watching import Wanted, find  # noqa: PLC0415
    from vibe_rl.watching import inspect as explain  # noqa: PLC0415

    unicode = (sys.stdout.encoding or "").lower() in ("utf-8", "utf8")
    for line in explain(find(source_of(*source), Wanted(*wanted)), unicode=unicode, **how):
        print(line)
