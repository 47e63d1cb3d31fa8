"""`vibe-rl watch`."""

from collections.abc import Sequence

from vibe_rl.cli.options import parse_words
from vibe_rl.cli.players import compute_on_cpu, source_of


def watch(args: Sequence[str]) -> None:
    """Shows an agent at play."""
    import tyro  # noqa: PLC0415

    def options(  # noqa: PLR0913 - what the command takes
        run: tyro.conf.Positional[str | None] = None,
        *,
        latest: tyro.conf.FlagCreatePairsOff[bool] = False,
        replay: str | None = None,
        best: tyro.conf.FlagCreatePairsOff[bool] = False,
        sample: tyro.conf.FlagCreatePairsOff[bool] = False,
        episodes: int = 3,
        speed: float = 10.0,
        seed: int | None = None,
        max_steps: int | None = None,
    ):
        """An agent at play: on a terminal as pictures, elsewhere a line for each env step.

        Keys: space pauses, n takes a single step, + and - change the speed, r begins the next
        episode, q quits.

        Args:
            run: Directory of a run, or a file: a recorded episode (.json).
            latest: The newest run in runs/ instead.
            replay: A recorded episode instead.
            best: The agent of the best evaluation instead of the latest.
            sample: Draws actions as in training instead of taking the best.
            episodes: How many.
            speed: Env steps a second, on a terminal.
            seed: Of fresh episodes; by default those of its last evaluation are repeated.
            max_steps: Env steps after which an episode is cut short; by default the run's limit.
        """
        how = {"episodes": episodes, "speed": speed, "seed": seed, "max_steps": max_steps}
        return (run, latest, replay), (best, sample), how

    source, wanted, how = parse_words(options, args, "vibe-rl watch")
    compute_on_cpu()
    from vibe_rl.watching import Wanted, find  # noqa: PLC0415
    from vibe_rl.watching import watch as show  # noqa: PLC0415

    show(find(source_of(*source), Wanted(*wanted)), **how)
