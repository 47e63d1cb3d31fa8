"""`vibe-rl plot`."""

from collections.abc import Sequence
from pathlib import Path

from vibe_rl.errors import ConfigError
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.group import (
    AnyPath,
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
        print(f"Reward curve | {draw_curves(runs, output, shaded)}")

    tyro.cli(options, args=list(args), prog="vibe-rl plot")


def draw_curves(
    runs: Sequence[AnyPath], output: str | None = None, shaded: str = "iqm"
) -> str | Path:
    """Writes the reward curves of runs and groups; the file, by default one of the first's."""
    from vibe_rl.plotting import PlotConfig, plot_reward_curve  # noqa: PLC0415

    if not runs:
        raise ConfigError("vibe-rl plot needs at least one run: vibe-rl plot RUN.")
    path = output or RunDir.open(runs[0]).artifact_path("reward_curve.png")
    each = [x for run in runs for x in (finite_members(run) if is_group(run) else [run])]
    group_by = "setting" if any(map(is_sweep, runs)) else "auto"
    group_by = "none" if any(map(is_population, runs)) else group_by  # members are not seeds
    config = PlotConfig(shaded=shaded)
    plot_reward_curve(each, group_by=group_by, config=config, save_path=path)
    return output or RunDir.open(runs[0]).shown(path)


def finite_members(path: AnyPath) -> list[RunDir]:
    """The runs of a group that did not diverge."""
    return [run for run in by_setting(members(path)) if why_diverged(run) is None]
