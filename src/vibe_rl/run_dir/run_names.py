"""Names of runs that count the runs of a day: `<prefix>-<mon><dd>-<yy>-<N>[-suffix]`."""

import os
import re
from datetime import date
from pathlib import Path

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def next_run_name(
    base_dir: str | os.PathLike[str], prefix: str, today: date, suffix: str | None = None
) -> str:
    """The name of the next run; N is one more than the largest of the day, whatever its suffix."""
    stem = f"{prefix}-{MONTHS[today.month - 1]}{today:%d-%y}-"
    number = re.compile(re.escape(stem) + r"(\d+)(-.*)?")
    found = (number.fullmatch(path.name) for path in Path(base_dir).glob(f"{stem}*"))
    n = 1 + max((int(match[1]) for match in found if match), default=0)
    return f"{stem}{n}{f'-{suffix}' if suffix else ''}"
