"""`vibe-rl record`."""

from collections.abc import Sequence
from pathlib import Path

from vibe_rl.cli.options import parse_words
from vibe_rl.cli.players import compute_on_cpu, source_of
from vibe_rl.errors import shown


def record(args: Sequence[str]) -> None:
    """Films an agent, without a display."""
    import tyro  # noqa: PLC0415

    def options(  # noqa: PLR0913 - what the command takes
        run: tyro.conf.Positional[str | None] = None,
        *,
        latest: tyro.conf.FlagCreatePairsOff[bool] = False,
        replay: str | None = None,
        best_checkpoint: tyro.conf.FlagCreatePairsOff[bool] = False,
        sample: tyro.conf.FlagCreatePairsOff[bool] = False,
        episodes: int | None = None,
        best: tyro.conf.FlagCreatePairsOff[bool] = False,
        worst: tyro.conf.FlagCreatePairsOff[bool] = False,
        fps: float = 25.0,
        mp4: tyro.conf.FlagCreatePairsOff[bool] = False,
        out: str | None = None,
        seed: int | None = None,
        max_steps: int | None = None,
    ):
        """Episodes as GIFs, and as small .json files from which they can be played again.

        It computes on the CPU, so that it can run beside a training.

        Args:
            run: Directory of a run, or a file: a recorded episode (.json).
            latest: The newest run in runs/ instead.
            replay: A recorded episode instead.
            best_checkpoint: The agent of the best evaluation instead of the latest.
            sample: Draws actions as in training instead of taking the best.
            episodes: How many are played; one, or 20 with --best or --worst.
            best: Films only the episode with the highest return.
            worst: Films only the episode with the lowest return; with --best both.
            fps: Env steps a second, at most 50.
            mp4: Writes an MP4 too, with ffmpeg.
            out: The folder; by default videos/ of the run.
            seed: Of fresh episodes; by default those of its last evaluation are repeated.
            max_steps: Env steps after which an episode is cut short; by default the run's limit.
        """
        which = (episodes, best, worst), (fps, mp4, None if out is None else Path(out))
        how = {"seed": seed, "max_steps": max_steps}
        return (run, latest, replay), (best_checkpoint, sample), which, how

    source, wanted, (episodes, film), how = parse_words(options, args, "vibe-rl record")
    compute_on_cpu()
    from vibe_rl.watching import Film, Wanted, Which, find  # noqa: PLC0415
    from vibe_rl.watching import record as shoot  # noqa: PLC0415

    subject = find(source_of(*source), Wanted(*wanted))
    for path, tape in shoot(subject, Which(*episodes), Film(*film), **how):
        print(f"Film | {shown(path)} | return {tape.episode_return:g}, {tape.length:,} env steps")
