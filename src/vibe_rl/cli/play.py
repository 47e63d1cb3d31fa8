"""`vibe-rl play`."""

from collections.abc import Sequence

from vibe_rl.cli.shared.options import parse_words
from vibe_rl.cli.shared.players import compute_on_cpu


def play(args: Sequence[str]) -> None:
    """Lets a person play an environment."""
    import tyro  # noqa: PLC0415

    def options(env_id: tyro.conf.Positional[str], seed: int = 0, keys: str = ""):
        """An environment to play yourself, turn by turn; its keys are shown beside it.

        Where there is no terminal, letters are read from stdin and every frame is printed.

        Args:
            env_id: Name of an environment: see vibe-rl envs.
            seed: Of the episodes.
            keys: Letters as if they had been typed.
        """
        return env_id, {"seed": seed, "keys": keys}

    env_id, how = parse_words(options, args, "vibe-rl play")
    compute_on_cpu()
    from vibe_rl.env import make  # noqa: PLC0415
    from vibe_rl.watching import play as play_turns  # noqa: PLC0415

    play_turns(*make(env_id), **how)
