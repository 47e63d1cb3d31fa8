"""`vibe-rl runs`."""

import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vibe_rl.cli.shared.options import asks_help
from vibe_rl.cli.shared.output import format_table
from vibe_rl.errors import ConfigError

if TYPE_CHECKING:
    from vibe_rl.analysis.listing import Listed

HELP = """usage: vibe-rl runs [DIR] [--json]

Lists the runs and groups in a directory, by default runs, or the members of a group: state, env
steps of all that are to be made, best evaluation, last return of training, age and size. A run has
died if it neither trains nor came to an end. --json prints a JSON object a line."""
HEADER = ("name", "state", "step", "best", "last", "age", "size")
AGES = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"))  # seconds
UNITS = ("B", "kB", "MB", "GB", "TB")


def runs(args: Sequence[str]) -> None:
    """Prints how the runs of a directory stand."""
    if asks_help(args):
        print(HELP)
        return
    from vibe_rl.analysis.listing import list_runs  # noqa: PLC0415

    as_json, words = "--json" in args, [word for word in args if word != "--json"]
    unknown = [word for word in words if word.startswith("-")]
    if len(words) > 1 or unknown:
        raise ConfigError("vibe-rl runs takes a directory and --json: see vibe-rl runs --help.")
    base = words[0] if words else "runs"
    found = list_runs(base)
    if as_json:
        for run in found:
            print(json.dumps(run._asdict()))
    elif found:
        print(format_table([HEADER, *(_cells(run) for run in found)]))
    else:
        print(f"{base} holds no runs.")


def _cells(run: "Listed") -> tuple[str, ...]:
    """A row of the table."""
    name = run.name if run.members is None else f"{run.name} ({run.members} runs)"
    state = run.state if not run.note else f"{run.state}: {run.note}"
    return (
        name,
        state,
        progress(run.step, run.total),
        _figure(run.best),
        _figure(run.last),
        age(time.time() - run.began),
        size(run.size),
    )


def progress(step: int | None, total: int | None) -> str:
    """Env steps, of all that are to be made."""
    if step is None:
        return "-"
    return f"{step:,}" if not total else f"{step:,} of {total:,}"


def _figure(value: float | int | None) -> str:
    """A return, or that there is none."""
    return "-" if value is None else f"{value:.2f}"


def age(seconds: float | int) -> str:
    """A time, in its largest whole unit."""
    for unit, name in AGES:
        if seconds >= unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{max(seconds, 0):.0f} s"


def size(n_bytes: float | int) -> str:
    """Bytes, in a unit of which there are less than a thousand."""
    for unit in UNITS[:-1]:
        if n_bytes < 999.5:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.3g} {UNITS[-1]}"
