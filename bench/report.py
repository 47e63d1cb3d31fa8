"""What a benchmark tells: a Markdown table of its rows, and the conditions they were made under."""

import os
import platform
import shlex
import sys
from pathlib import Path

import numpy as np

COLUMNS = ("workload", "contestant", "steps", "compile s", "median steps/s", "best steps/s")
COLUMNS += ("ours / it", "return", "probe ms")


def table(rows):
    """A line per workload and contestant."""
    cells = [
        line(select(rows, workload=workload), name)
        for workload in distinct(rows, "workload")
        for name in distinct(select(rows, workload=workload), "contestant")
    ]
    return "\n".join(
        f"| {' | '.join(each)} |" for each in [COLUMNS, ["---"] * len(COLUMNS), *cells]
    )


def line(rows, name):
    """The cells of one contestant among the rows of one workload."""
    mine = select(rows, contestant=name)
    speed = np.array([row["steps_per_second"] for row in mine])
    returns = [row["final_return"] for row in mine if row["final_return"] is not None]
    return [
        mine[0]["workload"],
        name,
        f"{mine[0]['steps']:,}",
        f"{mine[0]['compile_s']:.1f}",
        f"{np.median(speed):,.0f}",
        f"{speed.max():,.0f}",
        median(ratios(select(rows, contestant="ours"), mine), ".2f"),
        median(returns, ".0f"),
        median([row["probe_ms"] for row in mine], ".2f"),
    ]


def median(values, form):
    return format(np.median(values), form) if values else "-"


def ratios(ours, theirs):
    """Our speed over theirs in each round that both ran."""
    ours = {row["round"]: row["steps_per_second"] for row in ours}
    rounds = [row for row in theirs if row["round"] in ours]
    return [ours[row["round"]] / row["steps_per_second"] for row in rounds]


def select(rows, **wanted):
    return [row for row in rows if wanted.items() <= row.items()]


def distinct(rows, name):
    return list(dict.fromkeys(row[name] for row in rows))


def conditions(rows):
    """What ran on what, by which command."""
    versions = {row["contestant"]: row["versions"] for row in rows}
    lines = [f"{name}: {' '.join(map(' '.join, v.items()))}" for name, v in versions.items()]
    lines += [f"driver: python {platform.python_version()}, numpy {np.__version__}"]
    lines += [f"machine: {os.cpu_count()} CPUs, {cpu_model()}"]
    command = shlex.join(["python", "bench/speed.py", *without_paths(sys.argv[1:])])
    return "\n".join(f"- {each}" for each in [*lines, f"command: {command}"])


def without_paths(arguments):
    """The arguments with absolute paths cut to their last part: a report travels."""
    return [Path(each).name if Path(each).is_absolute() else each for each in arguments]


def cpu_model():
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    models = [each.partition(":")[2].strip() for each in lines if each.startswith("model name")]
    return models[0] if models else platform.machine()
