"""`vibe-rl record`."""

from collections.abc import Sequence
from pathlib import Path

import tyro

from vibe_rl.cli.shared.options import parse_words
from vibe_rl.cli.shared.players import AnyPlayer
from vibe_rl.errors import shown


def record(args: Sequence[str]) -> None:
    """Films an agent, without a display."""

    def options(
        player: AnyPlayer,
        best_checkpoint: tyro.conf.FlagCreatePairsOff[bool] = False,
        episodes: int | None = None,
        best: tyro.conf.FlagCreatePairsOff[bool] = False,
        worst: tyro.conf.FlagCreatePairsOff[bool] = False,
        fps: float = 25.0,
        mp4: tyro.conf.FlagCreatePairsOff[bool] = False,
        out: str | None = None,
    ):
        """Episodes as GIFs, and as small .json files from which they can be played again.

        It computes on the CPU, so that it can run beside a training.

        Args:
            player: Who plays.
            best_checkpoint: The agent of the best evaluation instead of the latest.
            episodes: How many are played; one, or 20 with --best or --worst.
            best: Films only the episode with the highest return.
            worst: Films only the episode with the lowest return; with --best both.
            fps: Env steps a second, at most 50.
            mp4: Writes an MP4 too, with ffmpeg.
            out: The folder; by default videos/ of the run.
        """
        film = fps, mp4, None if out is None else Path(out)
        return player, best_checkpoint, (episodes, best, worst), film

    player, best, which, film = parse_words(options, args, "vibe-rl record")
    subject = player.find(best)
    from vibe_rl.watching import Film, Which, film_episodes  # noqa: PLC0415

    for path, saved in film_episodes(subject, Which(*which), Film(*film), **player.limits):
        print(f"Film | {shown(path)} | return {saved.episode_return:g}, {saved.length:,} env steps")
