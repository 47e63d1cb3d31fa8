"""PPO on CartPole, ours and others on the same work in one session, one run after another.

    python bench/ppo_speed.py --num-envs 4 64 2048 --repeats 5 --peers-python PEERS/bin/python

Every contestant compiles first; then they take turns, A B C A B C, so that a slow spell of the
machine meets them all. Ratios are taken within a round and their median is reported.
"""

import argparse
import json
import platform
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
SCRIPTS = {
    "ours": "ours_ppo.py",
    "single_file": "single_file_ppo.py",
    "rejax": "rejax_ppo.py",
}
PEERS = {"rejax"}
TOTAL_TIMESTEPS = {2048: 524_288}
DEFAULT_TIMESTEPS = 500_000


class Contestant:
    """A worker process, asked one thing at a time."""

    def __init__(self, name, python, log):
        self.name = name
        self.process = subprocess.Popen(
            [python, str(HERE / SCRIPTS[name])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )

    def ask(self, **command):
        """The worker's answer, or None if it died."""
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        return json.loads(answer) if answer else None

    def close(self):
        """Ends the process."""
        self.process.stdin.close()
        self.process.wait()


def probe():
    """Milliseconds of one 512^3 product in NumPy, the best of five: the machine's mood."""
    a = np.ones((512, 512), np.float32)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        a @ a
        times.append(1000 * (time.perf_counter() - began))
    return min(times)


def start(names, python, num_envs, total_timesteps, log):
    """The contestants that could be prepared, with their answers."""
    ready = []
    for name in names:
        contestant = Contestant(name, python if name in PEERS else sys.executable, log)
        answer = contestant.ask(cmd="prepare", num_envs=num_envs, total_timesteps=total_timesteps)
        if answer is None:
            print(f"{name} is left out: it could not start (see the log file)", flush=True)
            continue
        ready.append((contestant, answer))
    return ready


def compete(names, python, num_envs, repeats, log):
    """Raw rows of one number of envs, a row per run."""
    total_timesteps = TOTAL_TIMESTEPS.get(num_envs, DEFAULT_TIMESTEPS)
    ready = start(names, python, num_envs, total_timesteps, log)
    rows = []
    for round_number in range(repeats):
        for contestant, prepared in ready:
            row = {"num_envs": num_envs, "round": round_number, "name": contestant.name}
            row |= prepared | {"probe_ms": probe()}
            row |= contestant.ask(cmd="run", seed=round_number)
            rows.append(row | {"steps_per_second": row["steps"] / row["seconds"]})
    for contestant, _ in ready:
        contestant.close()
    return rows


def summary(rows):
    """A table line per contestant and number of envs."""
    lines = []
    for num_envs in sorted({row["num_envs"] for row in rows}):
        here = [row for row in rows if row["num_envs"] == num_envs]
        speeds = {name: speeds_of(here, name) for name in dict.fromkeys(r["name"] for r in here)}
        for name, speed in speeds.items():
            mine = [row for row in here if row["name"] == name]
            ratio = np.median(speeds["ours"] / speed) if "ours" in speeds else float("nan")
            lines.append(
                f"| {num_envs} | {name} | {mine[0]['compile_s']:.1f} | {np.median(speed):,.0f} "
                f"| {speed.max():,.0f} | {ratio:.2f} "
                f"| {np.median([row['probe_ms'] for row in mine]):.2f} |"
            )
    return lines


def speeds_of(rows, name):
    """Steps per second of one contestant, by round."""
    return np.array([row["steps_per_second"] for row in rows if row["name"] == name])


def versions(rows):
    """What ran, on what."""
    packages = {name: row["versions"] for row in rows for name in [row["name"]]}
    model = next(
        (line.split(":")[1].strip() for line in cpu_info() if line.startswith("model name")), "?"
    )
    return f"python {platform.python_version()}, {packages}, {model}, {len(cpu_cores())} cores"


def cpu_info():
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def cpu_cores():
    return [line for line in cpu_info() if line.startswith("processor")]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num-envs", type=int, nargs="+", default=[4, 64, 2048])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--contestants", nargs="+", default=list(SCRIPTS), choices=list(SCRIPTS))
    parser.add_argument("--peers-python", default=sys.executable)
    parser.add_argument("--json", type=Path, help="also write the raw rows here")
    args = parser.parse_args()
    rows = []
    with Path("bench.log").open("w") as log:
        for num_envs in args.num_envs:
            rows += compete(args.contestants, args.peers_python, num_envs, args.repeats, log)
    print("| envs | who | compile s | median steps/s | best | ours / it | probe ms |")
    print("|---|---|---|---|---|---|---|")
    print("\n".join(summary(rows)))
    print(f"\n{versions(rows)}; {args.repeats} rounds")
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
