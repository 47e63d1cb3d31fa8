"""kill -9 at random moments of a run that saves often.

    python tests/faults/kill_nine.py --kills 200

After each kill the run must load a complete checkpoint, at most one interval older than the newest
that was there or under way, and its log must hold whole rows in order. Ends with a line of counts.
"""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from saving_run import CONFIG, new_run

from vibe_rl.checkpoint import load_metadata, saved_steps
from vibe_rl.experiment import load_run
from vibe_rl.metrics import read_metrics

INTERVAL = CONFIG.runner.checkpoint_interval


def newest(path: Path) -> int:
    """The latest step that is complete."""
    return max(saved_steps(path / "checkpoints"), default=0)


def kill_once(path: Path, after: float) -> tuple[int, int]:
    """Starts the run, kills it `after` seconds past its first progress; steps before and after."""
    before = newest(path)
    script = Path(__file__).with_name("saving_run.py")
    process = subprocess.Popen([sys.executable, str(script), str(path)])
    deadline = time.monotonic() + 120
    while newest(path) == before and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return before, newest(path)


def check(path: Path) -> None:
    """The latest checkpoint can be read whole, and the log holds rows up to an interval past it."""
    load_run(path)
    steps = [row["step"] for row in read_metrics(path) if "loss" in row]
    assert steps == sorted(set(steps)), "rows repeat or go back"
    step = load_metadata(path / "checkpoints")["step"]
    assert step == newest(path)
    assert not steps or steps[-1] - step <= 2 * INTERVAL, f"log at {steps[-1]}, saved {step}"


def main(kills: int, seed: int) -> None:
    rng, in_write = random.Random(seed), 0
    with tempfile.TemporaryDirectory() as base:
        path = new_run(base).root
        for i in range(kills):
            before, after = kill_once(path, rng.uniform(0.0, 0.5))
            in_write += any("tmp" in p.name for p in (path / "checkpoints").iterdir())
            assert after > before, f"kill {i}: no progress from {before}"
            check(path)
            if after >= CONFIG.runner.total_timesteps - 20_000:
                path = new_run(base).root
    print(f"{kills} kills, {in_write} of them in the middle of a write: every start resumed")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))
