"""A run whose disk fills up, or whose folder of checkpoints becomes read-only, and recovers or not.

    unshare -rm python tests/faults/bad_disk.py full freed read-only

A run for each word, on a small file system of its own, which only this process sees. Prints a line
of JSON for each, of what it finds.
"""

import json
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import replace
from pathlib import Path

from saving_run import CONFIG

from vibe_rl.checkpoint import saved_steps
from vibe_rl.errors import DamagedCheckpointError
from vibe_rl.experiment.build import build
from vibe_rl.metrics import read_metrics
from vibe_rl.run_dir import RunDir
from vibe_rl.runner.resuming import agent_part
from vibe_rl.runner.session import open_session

TOTAL, BREAKS_AT, RECOVERS_AT = 6_400, 3_200, 5_200


def tried(*command: str) -> bool:
    """Whether it succeeded."""
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def mount(*words: str) -> None:
    assert tried("mount", *words)


class Disk:
    """Three megabytes that can be broken in several ways."""

    def __init__(self, root: Path, how: str):
        mount("-t", "tmpfs", "-o", "size=3m", "tmpfs", str(root))
        self.filler, self.how = root / "filler", how

    def break_down(self, checkpoints: Path) -> None:
        if self.how == "read-only":
            mount("--bind", str(checkpoints), str(checkpoints))
            while not tried("mount", "-o", "remount,bind,ro", str(checkpoints)):
                time.sleep(0.01)  # busy while a checkpoint is being written
            return
        try:
            with self.filler.open("wb", buffering=0) as file:
                while file.write(bytes(512)):
                    pass
        except OSError:
            return

    def recover(self) -> None:
        if self.how == "freed":
            self.filler.unlink()


def main(how: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        disk = Disk(Path(folder), how)
        run_dir = RunDir("faults", folder)

        def callback(step, agent_state, row):
            if step == BREAKS_AT:
                disk.break_down(run_dir.checkpoints)
            if step == RECOVERS_AT:
                disk.recover()

        runner = replace(
            CONFIG.runner,
            total_timesteps=TOTAL,
            max_checkpoints=100,
            eval_every=800,
            eval_episodes=2,
        )
        run = build(replace(CONFIG, runner=runner))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with open_session(run, run_dir, callback) as session:
                result = session.train(callback)
        print(json.dumps(findings(run_dir, result, run) | {"warned": said(caught)}), flush=True)
        assert tried("umount", "-l", folder)


def said(caught) -> list[str]:
    return [str(warning.message) for warning in caught if warning.category is RuntimeWarning]


def findings(run_dir, result, run) -> dict:
    """How far the run came, which rows it logged, and which checkpoints can be read."""
    whole = []
    for step in saved_steps(run_dir.checkpoints):
        try:
            agent_part(run_dir.checkpoints, result.state.agent_state, step)
        except DamagedCheckpointError:
            continue
        whole.append(step)
    return {
        "step": result.step,
        "rows": [row["step"] for row in read_metrics(run_dir) if "loss" in row],
        "saved": saved_steps(run_dir.checkpoints),
        "whole": whole,
    }


if __name__ == "__main__":
    for how in sys.argv[1:]:
        main(how)
