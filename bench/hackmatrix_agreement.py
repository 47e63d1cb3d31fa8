"""HackMatrix in JAX against its reference: many random steps, half of them from set states.

python bench/hackmatrix_agreement.py --steps 1000000 --json agreement.json
"""

import argparse
import json
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parents[1] / "tests" / "env" / "hackmatrix"
sys.path.insert(0, str(TESTS))

from agreement import Both, side_by_side
from duel import Duel
from rules_met import MUST_BE_MET, Met

ROUNDS = 100
"""Steps of all games of a seed: what differs is found again by that seed alone."""


@dataclass
class Result:
    """What some seeds came to."""

    steps: int = 0
    from_set_states: int = 0
    seconds: float = 0.0
    differences: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Result") -> None:
        """With those of other seeds."""
        self.steps += other.steps
        self.from_set_states += other.from_set_states
        self.differences += other.differences
        self.counts += other.counts

    def never_met(self) -> list[str]:
        """The rules that no step needed."""
        return sorted(MUST_BE_MET - set(self.counts))


@cache
def both(envs: int) -> Both:
    """Compiled once in a process."""
    return side_by_side(envs)


def played(task: tuple[int, int]) -> Result:
    """The games of one seed, up to the first difference."""
    seed, envs = task
    met, result = Met(), Result()
    duel = Duel(both(envs), seed, met)
    try:
        duel.play(ROUNDS)
    except AssertionError as error:
        result.differences.append(str(error))
    result.steps, result.from_set_states = duel.round * envs, duel.set_steps
    result.counts = met.counts
    return result


def results(tasks: list[tuple[int, int]], processes: int) -> Iterator[Result]:
    """Those of all seeds, as they come."""
    if processes == 1:
        yield from map(played, tasks)
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap_unordered(played, tasks)


def write(path: Path | None, total: Result) -> None:
    """All so far, as JSON."""
    if path is not None:
        known: dict[str, Any] = asdict(total)
        known["counts"] = dict(sorted(total.counts.items()))
        path.write_text(json.dumps(known | {"never_met": total.never_met()}, indent=1) + "\n")


def main(steps: int, seed: int, envs: int, processes: int, path: Path | None) -> int:
    """The exit status: 1 if the engines differ or a rule was never met."""
    began, total = time.perf_counter(), Result()
    tasks = [(seed + i, envs) for i in range(-(-steps // (envs * ROUNDS)))]
    for result in results(tasks, processes):
        total.add(result)
        total.seconds = time.perf_counter() - began
        speed, found = total.steps / total.seconds, len(total.differences)
        print(f"{total.steps} steps, {found} differences, {speed:.0f} steps/s", flush=True)
        print(*result.differences, sep="\n", end="", flush=True)
        write(path, total)
    print(*(f"{count:>9} {name}" for name, count in sorted(total.counts.items())), sep="\n")
    print(f"{total.from_set_states} of {total.steps} steps from set states")
    print(f"never met: {', '.join(total.never_met()) or 'nothing'}")
    return int(bool(total.differences or total.never_met()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0, help="the first of many")
    parser.add_argument("--envs", type=int, default=64, help="games side by side")
    parser.add_argument("--processes", type=int, default=multiprocessing.cpu_count())
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    sys.exit(main(args.steps, args.seed, args.envs, args.processes, args.json))
