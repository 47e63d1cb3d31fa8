"""Our loop with Gymnasium's envs beside hand-written ones, in turns.

    python bench/host_envs.py ppo-64 dqn-1 --repeats 7 --steps 65536

The wall clock is that of a machine which may be busy; CPU seconds are of all threads of a process.
"""

import argparse
import sys
from types import SimpleNamespace

import numpy as np
from speed import compete
from workloads import WORKLOADS

from report import conditions, select

CARTPOLE = [k for k, v in WORKLOADS.items() if v["env_id"] == "CartPole-v1"]
PAIRS = {
    "default": ("ours_gymnasium", "gymnasium_loop"),
    "sync": ("ours_gymnasium_sync", "gymnasium_loop_sync"),
}


HEADER = ("workload", "envs", "ours us", "hand us", "ratio")
HEADER += ("ours CPU us", "hand CPU us", "ratio", "ours return", "hand return")


def compare(rows, workload, pair):
    """A line: microseconds per step of all envs of each, and our speed in theirs."""
    each = [select(rows, workload=workload, contestant=name) for name in PAIRS[pair]]
    cells = [workload, pair]
    for what in ("seconds", "cpu_seconds"):
        ours, theirs = (1e6 * steps_took(rows, workload, what) for rows in each)
        cells += [f"{ours:.0f}", f"{theirs:.0f}", f"{theirs / ours:.2f}"]
    cells += [f"{np.median([row['final_return'] for row in rows]):.0f}" for rows in each]
    return f"| {' | '.join(cells)} |"


def steps_took(rows, workload, what):
    """The median time of a step of all envs."""
    num_envs = WORKLOADS[workload]["algo"]["num_envs"]
    return np.median([row[what] / row["steps"] * num_envs for row in rows])


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workloads", nargs="+", choices=CARTPOLE)
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
    rows = []
    for workload in args.workloads:
        rows += compete(workload, how)
        print(f"| {' | '.join(HEADER)} |\n|{' --- |' * len(HEADER)}")
        for pair in args.pairs:
            print(compare(rows, workload, pair), flush=True)
    print(conditions(rows))


if __name__ == "__main__":
    main()
