"""PPO on CartPole: ours and others in one session, all compiled first, then taking turns.

    python bench/ppo_speed.py --num-envs 4 64 2048 --repeats 5 --peers-python PEERS/bin/python

Machines have slow spells, so contestants alternate (A B C A B C), ratios are taken within a round
and a NumPy product is timed next to each run. One worker process each; only one works at a time.
"""

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
SCRIPTS = {
    "ours": HERE / "ours_ppo.py",
    "uninterrupted": HERE / "uninterrupted_ppo.py",
    "single_file": HERE / "single_file_ppo.py",
    "rejax": HERE / "peers" / "rejax_ppo.py",
}
PEERS = {"rejax"}  # run by --peers-python
TOTAL_TIMESTEPS, MANY_ENVS_TIMESTEPS = 500_000, 524_288
SPIN_DOWN = 0.1  # s, BLAS threads spin for a while after the probe
COLUMNS = ("envs", "contestant", "steps", "compile s", "median steps/s", "best steps/s")
COLUMNS += ("ours / it", "probe ms")


class Worker:
    """A contestant's process, asked one thing at a time; raises `WorkerError` when it is gone."""

    def __init__(self, name, python, folder):
        self.name, self.log = name, Path(folder) / f"{name}.log"
        try:
            self.process = self.launch([python, str(SCRIPTS[name])])
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


def compete(num_envs, args):
    """Raw rows of one number of envs: a row per run."""
    with tempfile.TemporaryDirectory() as folder:
        ready = prepare(num_envs, args, folder)
        rows = []
        for round_number in range(args.repeats):
            for worker, prepared in list(ready.items()):
                if answer := attempt(worker, run, seed=round_number):
                    who = {"num_envs": num_envs, "round": round_number, "contestant": worker.name}
                    rows.append(who | prepared | answer)
                else:
                    del ready[worker]
        for worker in ready:
            worker.close()
    return rows


def prepare(num_envs, args, folder):
    """The workers that could start and compile, one after another, with their answers."""
    work = {"num_envs": num_envs, "total_timesteps": args.steps or timesteps(num_envs)}
    ready = {}
    for name in args.contestants:
        python = args.peers_python if name in PEERS else sys.executable
        try:
            worker = Worker(name, python, folder)
        except WorkerError as error:
            print(f"{name} is skipped: {error}", flush=True)
            continue
        if answer := attempt(worker, Worker.ask, cmd="prepare", **work):
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


def timesteps(num_envs):
    """Two whole updates at 2048 envs, else half a million steps."""
    return MANY_ENVS_TIMESTEPS if num_envs >= 2048 else TOTAL_TIMESTEPS


def table(rows):
    """The Markdown table, a line per number of envs and contestant."""
    cells = [
        line(select(rows, num_envs=num_envs), name)
        for num_envs in distinct(rows, "num_envs")
        for name in distinct(select(rows, num_envs=num_envs), "contestant")
    ]
    return "\n".join(
        f"| {' | '.join(each)} |" for each in [COLUMNS, ["---"] * len(COLUMNS), *cells]
    )


def line(rows, name):
    """The cells of one contestant among the rows of one number of envs."""
    mine = select(rows, contestant=name)
    speed = np.array([row["steps_per_second"] for row in mine])
    ratio = ratios(select(rows, contestant="ours"), mine)
    return [
        str(mine[0]["num_envs"]),
        name,
        f"{mine[0]['steps']:,}",
        f"{mine[0]['compile_s']:.1f}",
        f"{np.median(speed):,.0f}",
        f"{speed.max():,.0f}",
        f"{np.median(ratio):.2f}" if ratio else "-",
        f"{np.median([row['probe_ms'] for row in mine]):.2f}",
    ]


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
    command = shlex.join(["python", "bench/ppo_speed.py", *without_paths(sys.argv[1:])])
    return "\n".join(f"- {each}" for each in [*lines, f"command: {command}"])


def without_paths(arguments):
    """The arguments with absolute paths cut to their last part: a report travels."""
    return [Path(each).name if Path(each).is_absolute() else each for each in arguments]


def cpu_model():
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    models = [each.partition(":")[2].strip() for each in lines if each.startswith("model name")]
    return models[0] if models else platform.machine()


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num-envs", type=int, nargs="+", default=[4, 64, 2048])
    parser.add_argument("--repeats", type=int, default=5, help="rounds, each with its own seed")
    parser.add_argument("--contestants", nargs="+", default=list(SCRIPTS), choices=list(SCRIPTS))
    parser.add_argument("--peers-python", default=sys.executable, help="interpreter with the peers")
    parser.add_argument("--steps", type=int, help="env steps of a run, for smoke tests")
    parser.add_argument("--json", type=Path, help="also write the raw rows here")
    return parser.parse_args()


def main():
    args = parse_args()
    rows = []
    for num_envs in args.num_envs:
        rows += compete(num_envs, args)
    print(f"\n{table(rows)}\n\n{conditions(rows)}")
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
