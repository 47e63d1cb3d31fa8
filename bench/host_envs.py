"""Our loop with Gymnasium's envs beside hand-written ones, in turns.

    python bench/host_envs.py ppo-64 dqn-1 --repeats 7 --steps 65536

The wall clock is that of a machine which may be busy; CPU seconds are of all threads of a process.
"""

import argparse
import sys
from types import SimpleNamespace

import numpy as np
from report import conditions, select
from speed import compete
from workloads import WORKLOADS

PAIRS = {
    "default": ("ours_gymnasium", "gymnasium_loop"),
    "sync": ("ours_gymnasium_sync", "gymnasium_loop_sync"),
}


def compare(rows, workload, pair):
    """A line: microseconds per step of all envs of each, and our speed in theirs."""
    ours, theirs = (select(rows, workload=workload, contestant=name) for name in PAIRS[pair])
    num_envs = WORKLOADS[workload]["algo"]["num_envs"]
    cells = [workload, pair]
    for what in ("seconds", "cpu_seconds"):
        each = [[row[what] / row["steps"] * num_envs for row in rows] for rows in (ours, theirs)]
        mine, other = (1e6 * np.array(figures) for figures in each)
        cells += [f"{np.median(mine):.0f}", f"{np.median(other):.0f}"]
        cells += [f"{np.median(other) / np.median(mine):.2f}"]
    cells += ["{:.0f} {:.0f}".format(*(np.median([r["final_return"] for r in x]) for x in (ours, theirs)))]
    return "| " + " | ".join(cells) + " |"


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workloads", nargs="+", choices=[w for w in WORKLOADS if "sac" not in w])
    parser.add_argument("--pairs", nargs="+", choices=PAIRS, default=list(PAIRS))
    parser.add_argument("--repeats", type=int, default=7, help="rounds, each with its own seed")
    parser.add_argument("--steps", type=int, help="env steps of a run")
    return parser.parse_args()


def main():
    args = parse_args()
    names = [name for pair in args.pairs for name in PAIRS[pair]]
    how = SimpleNamespace(
        repeats=args.repeats, steps=args.steps, contestants=names, python={"own": sys.executable}
    )
    rows = [row for workload in args.workloads for row in compete(workload, how)]
    print("| workload | envs | ours us | hand us | ratio | ours CPU us | hand CPU us | ratio | return |")
    print("|" + " --- |" * 9)
    for workload in args.workloads:
        for pair in args.pairs:
            print(compare(rows, workload, pair))
    print(conditions(rows))


if __name__ == "__main__":
    main()
