"""`vibe-rl export`."""

from collections.abc import Sequence
from pathlib import Path

from vibe_rl.cli.shared.options import parse_words, split_names
from vibe_rl.errors import shown


def export(args: Sequence[str]) -> None:
    """Writes a saved policy as a folder that needs no vibe_rl."""
    import tyro  # noqa: PLC0415

    def options(
        run: tyro.conf.Positional[str],
        best: tyro.conf.FlagCreatePairsOff[bool] = False,
        to: str | None = None,
        without: str | None = None,
        overwrite: tyro.conf.FlagCreatePairsOff[bool] = False,
    ):
        """The policy as NumPy, ONNX and StableHLO, compared with the agent on 1,000 observations.

        Args:
            run: Directory of a run.
            best: The agent of the best evaluation instead of the latest.
            to: The folder; by default artifacts/policy or artifacts/policy_best of the run.
            without: Formats to leave out: onnx, stablehlo or both with a comma between.
            overwrite: Replaces a policy that is there already.
        """
        formats = split_names(without) if without else []
        return run, {"best": best, "to": to, "without": formats, "overwrite": overwrite}

    run, how = parse_words(options, args, "vibe-rl export")
    from vibe_rl.policies import export_run  # noqa: PLC0415

    print_policy(export_run(run, **how))


def print_policy(folder: Path) -> None:
    """Prints where a policy is, and how far each of its files is from the agent."""
    from vibe_rl.policies.numpy_runner import read_description  # noqa: PLC0415

    check = read_description(folder)["check"]
    print(f"Policy | {shown(folder)}")
    for name, largest in check["largest_difference"].items():
        different = check["different_choices"][name]
        print(
            f"{name} | largest difference {largest:.1e} of {check['tolerance']:g} on "
            f"{check['observations']} observations, {different} other choices"
        )
