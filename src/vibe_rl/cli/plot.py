"""`vibe-rl plot`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vibe_rl.cli.shared.options import parse_words
from vibe_rl.errors import ConfigError
from vibe_rl.plotting.config import PlotConfig
from vibe_rl.plotting.groups import IQM, plot_curves_of
from vibe_rl.run_dir.directory import CURVE, RunDir, find_runs
from vibe_rl.run_dir.group import AnyPath, is_group


def plot(args: Sequence[str]) -> None:
    """Draws the reward curves of the runs given."""
    import tyro  # noqa: PLC0415

    def options(  # noqa: PLR0913 - options of a command
        runs: tyro.conf.Positional[tuple[str, ...]],
        *,
        run_dirs: tuple[str, ...] = (),
        experiment_name: str | None = None,
        base_dir: str | None = None,
        x_key: str = "step",
        y_key: str = "episode_return",
        output: str | None = None,
        compare: bool = True,
        config: tyro.conf.OmitArgPrefixes[PlotConfig] = IQM,
    ):
        """One run, many seeds of an algorithm, or several algorithms.

        Args:
            runs: Each a run or a group of seeds.
            run_dirs: The same, by name.
            experiment_name: Instead of runs: all of this name, such as CartPole-v1_ppo.
            base_dir: Instead of runs: all that lie here; runs/ where only a name is given.
            x_key: Horizontal quantity, a key of the rows of metrics.
            y_key: Vertical quantity.
            output: The file; by default reward_curve.png in the artifacts of the first.
            compare: Whether seeds of one algorithm are one curve; else every run is.
            config: How it looks.
        """
        given = [*runs, *run_dirs] or find_all(experiment_name, base_dir)
        return given, output, config, {"x_key": x_key, "y_key": y_key}, compare

    print(f"Reward curve | {draw_curves(*parse_words(options, args, 'vibe-rl plot'))}")


def find_all(experiment_name: str | None, base_dir: str | None) -> list[str]:
    """The runs of this name in this directory; none where neither is given."""
    if experiment_name is None and base_dir is None:
        return []
    base = base_dir or "runs"
    found = find_runs(base, experiment_name)
    runs = [str(run) for run in found if is_group(run) or run.log_path().exists()]
    if not runs:
        name = "no runs" if experiment_name is None else f"no run {experiment_name!r}"
        raise ConfigError(f"{base} holds {name}: name another base_dir or experiment_name.")
    return runs


def draw_curves(
    runs: Sequence[AnyPath],
    output: str | None = None,
    config: PlotConfig = IQM,
    keys: dict[str, Any] | None = None,
    compare: bool = True,
) -> str | Path:
    """Writes the reward curves of runs and groups, see `plot_curves_of`.

    Args:
        runs: directories of runs and groups.
        output: the file; None takes one among the artifacts of the first.
        config: how it looks.
        keys: of the quantities.
        compare: whether seeds of one algorithm are one curve.

    Returns:
        The file.
    """
    if not runs:
        raise ConfigError("vibe-rl plot needs at least one run: vibe-rl plot RUN.")
    path = output or RunDir.open(runs[0]).artifact_path(CURVE)
    plot_curves_of(runs, path, config, keys, compare)
    return output or RunDir.open(runs[0]).shown(path)
