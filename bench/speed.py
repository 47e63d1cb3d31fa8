"""Ours and others in one session, all compiled first, then taking turns.

    python bench/speed.py ppo-4 dqn-1 sac-1 --repeats 5 --peers-python A/bin/python

Machines have slow spells, so contestants alternate (A B C A B C), ratios are taken within a round
and a NumPy product is timed next to each run. One worker process each; only one works at a time.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from workloads import CONTESTANTS, NAMES, WORKLOADS, settings_of

from report import conditions, table

HERE = Path(__file__).parent
SPIN_DOWN = 0.1  # s, BLAS threads spin for a while after the probe


class Worker:
    """A contestant's process, asked one thing at a time; raises `WorkerError` when it is gone."""

    def __init__(self, name, command, folder):
        self.name, self.log = name, Path(folder) / f"{name}.log"
        try:
            self.process = self.launch(command)
        except OSError as error:
            raise WorkerError(str(error)) from error

    def launch(self, command):
        """The process, its standard error in the log, no persistent cache to flatter compile s."""
        env = os.environ | {"JAX_ENABLE_COMPILATION_CACHE": "false"}
        pipe = subprocess.PIPE
        with self.log.open("w") as log:
            return subprocess.Popen(
                command, stdin=pipe, stdout=pipe, stderr=log, env=env, text=True
            )

    def ask(self, **command):
        """The answer to a command."""
        try:
            print(json.dumps(command), file=self.process.stdin, flush=True)
        except BrokenPipeError as error:
            raise WorkerError(self.last_words()) from error
        if answer := self.process.stdout.readline():
            return json.loads(answer)
        raise WorkerError(self.last_words())

    def last_words(self):
        """The last line it wrote to standard error."""
        status = self.process.wait()
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"exit status {status}"

    def close(self):
        """Asks it to quit and waits until it has."""
        if self.process.poll() is None:
            print('{"cmd": "quit"}', file=self.process.stdin, flush=True)
        self.process.communicate()


class WorkerError(Exception):
    """Why a worker cannot go on."""


def probe():
    """Milliseconds of a 512 x 512 x 512 product in NumPy, median of five: the machine's mood."""
    a = np.ones((512, 512), np.float32)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        a @ a
        times.append(1000 * (time.perf_counter() - began))
    time.sleep(SPIN_DOWN)
    return float(np.median(times))


def compete(workload, args):
    """Raw rows of one workload: a row per run."""
    with tempfile.TemporaryDirectory() as folder:
        ready = prepare(workload, args, folder)
        rows = []
        for round_number in range(args.repeats):
            for worker, prepared in list(ready.items()):
                if answer := attempt(worker, run, seed=round_number):
                    who = {"workload": workload, "round": round_number, "contestant": worker.name}
                    rows.append(who | prepared | answer)
                else:
                    del ready[worker]
        for worker in ready:
            worker.close()
    return rows


def prepare(workload, args, folder):
    """The workers that could start and compile, one after another, with their answers."""
    known = CONTESTANTS[WORKLOADS[workload]["algorithm"]]
    ready = {}
    for name in [name for name in known if name in args.contestants]:
        command = [args.python[known[name].python], HERE / known[name].script]
        try:
            worker = Worker(name, [*command, *known[name].arguments], folder)
        except WorkerError as error:
            print(f"{name} is skipped: {error}", flush=True)
            continue
        settings = settings_of(workload, known[name], args.steps)
        if answer := attempt(worker, Worker.ask, cmd="prepare", settings=settings):
            ready[worker] = answer
    return ready


def attempt(worker, act, **arguments):
    """`act(worker, **arguments)`, or None and a printed line where the worker is gone."""
    try:
        return act(worker, **arguments)
    except WorkerError as error:
        print(f"{worker.name} is skipped: {error}", flush=True)
        return None


def run(worker, seed):
    """One timed run with the probe beside it."""
    probe_ms = probe()
    answer = worker.ask(cmd="run", seed=seed)
    speed = answer["steps"] / answer["seconds"]
    print(f"{worker.name}, seed {seed}: {speed:,.0f} steps/s, probe {probe_ms:.2f} ms", flush=True)
    return answer | {"steps_per_second": speed, "probe_ms": probe_ms}


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=", ".join(WORKLOADS))
    parser.add_argument("--repeats", type=int, default=5, help="rounds, each with its own seed")
    parser.add_argument("--contestants", nargs="+", default=NAMES, choices=NAMES)
    parser.add_argument("--peers-python", default=sys.executable, help="interpreter with rejax")
    parser.add_argument("--sb3-python", default=sys.executable, help="interpreter with SB3 and SBX")
    parser.add_argument("--steps", type=int, help="env steps of a run; see README.md")
    parser.add_argument("--json", type=Path, help="also write the raw rows here")
    args = parser.parse_args()
    for name in set(args.workloads) - set(WORKLOADS):
        parser.error(f"workload {name!r} is unknown: choose from {', '.join(WORKLOADS)}")
    args.python = {"own": sys.executable, "peers": args.peers_python, "sb3": args.sb3_python}
    return args


def main():
    args = parse_args()
    rows = []
    for workload in args.workloads or WORKLOADS:
        rows += compete(workload, args)
    print(f"\n{table(rows)}\n\n{conditions(rows)}")
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
