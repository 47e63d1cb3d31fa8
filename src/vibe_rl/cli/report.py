"""`vibe-rl report`."""

from collections.abc import Sequence

from vibe_rl.cli.shared.options import parse_words
from vibe_rl.errors import shown


def report(args: Sequence[str]) -> None:
    """Writes one HTML file about runs."""
    import tyro  # noqa: PLC0415

    def options(runs: tyro.conf.Positional[tuple[str, ...]], out: str | None = None):
        """One HTML file with all that the files of runs say; several runs are compared in it.

        Args:
            runs: Each a run or a group.
            out: The file; by default report.html in the directory of the only run.
        """
        return list(runs), out

    runs, out = parse_words(options, args, "vibe-rl report")
    from vibe_rl.report import write_report  # noqa: PLC0415 - which imports all that trains

    print(f"Report | {shown(write_report(runs, out))}")
