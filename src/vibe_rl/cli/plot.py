"""`vibe-rl plot`."""

from collections.abc import Sequence

from vibe_rl.errors import ConfigError
from vibe_rl.run_dir.group import (
    by_setting,
    is_group,
    is_population,
    is_sweep,
    members,
    why_diverged,
)


def plot(args: Sequence[str]) -> None:
    """Draws the reward curves of the runs given."""
    import tyro  # noqa: PLC0415

    def options(
        runs: tyro.conf.Positional[tuple[str, ...]],
        output: str | None = None,
        shaded: str = "iqm",
    ):
        """One run, many seeds of an algorithm, or several algorithms.

        Args:
            runs: Each a run or a group of seeds.
            output: The file; by default reward_curve.png in the artifacts of the first.
            shaded: Of several seeds: iqm, the interquartile mean and its 95 % interval, or the mean
                and std, stderr or none.
        """
        draw(list(runs), output, shaded)

    tyro.cli(options, args=list(args), prog="vibe-rl plot")


def draw(runs: Sequence[str], output: str | None = None, shaded: str = "iqm") -> None:
    """Writes the reward curve of these runs, into the first one's artifacts by default."""
    from vibe_rl.plotting import PlotConfig, plot_reward_curve  # noqa: PLC0415
    from vibe_rl.run_dir.directory import RunDir  # noqa: PLC0415

    if not runs:
        raise ConfigError("vibe-rl plot needs at least one run: vibe-rl plot RUN.")
    path = output or RunDir.open(runs[0]).artifact_path("reward_curve.png")
    each = [x for run in runs for x in (sound_members(run) if is_group(run) else [run])]
    group_by = "setting" if any(map(is_sweep, runs)) else "auto"
    group_by = "none" if any(map(is_population, runs)) else group_by  # members are no seeds
    config = PlotConfig(shaded=shaded)
    plot_reward_curve(each, group_by=group_by, config=config, save_path=path)
    print(f"Reward curve | {path}")


def sound_members(path: str) -> list[str]:
    """The runs of a group whose curves end where they should."""
    return [str(run) for run in by_setting(members(path)) if why_diverged(run) is None]


def try_to_draw(run: str) -> None:
    """Draws if it can; a finished run is no failure for want of matplotlib or of episodes."""
    try:
        draw([run])
    except ConfigError as error:
        print(f"Reward curve | none: {error}")
