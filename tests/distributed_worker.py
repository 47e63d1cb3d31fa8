"""One of two processes that train together and do what they are told: PORT INDEX.

Each line of the input is a list in JSON, of the name of a function below and its arguments.
"""

import json
import os
import sys
from dataclasses import replace
from unittest.mock import patch

from orbax.checkpoint import Checkpointer
from orbax.checkpoint._src.path import atomicity

from training import run_training
from vibe_rl.cli import main
from vibe_rl.configs import cli
from vibe_rl.errors import ConfigError
from vibe_rl.experiment.build import build
from vibe_rl.system.cluster import Cluster, connect

HERE = int(sys.argv[2])
DONE = "done"


def command(words):
    """Runs `vibe-rl`."""
    main(words)


def train(words, callback=None, **runner):
    """Trains a preset with other settings of its runner."""
    config = cli(words)
    runner |= {"checkpoint_dir": "checkpoints", "checkpoint_interval": 256}
    run_training(build(replace(config, runner=replace(config.runner, **runner))), callback=callback)


def failing_callback(words):
    """Process 1 alone fails."""

    def fails(step, agent_state, metrics):
        if step > 512 and HERE == 1:
            raise OSError("the disk of process 1 is full")

    train(words, fails, total_timesteps=10**8)


def lonely_callback(words):
    """Process 0 alone has a callback."""
    train(words, callback=None if HERE else print)


def failing_write(words):
    """Process 0 cannot create the folder of the third checkpoint, and process 1 waits for it."""
    create, calls = atomicity.AtomicRenameTemporaryPath.create, []

    async def fails(self, *args, **how):
        calls.append(self)
        if sum("step_768" in str(path.get_final()) for path in calls):
            raise OSError(28, "No space left on device")
        return await create(self, *args, **how)

    atomicity.AtomicRenameTemporaryPath.create = fails
    train(words, total_timesteps=1024)


def failing_read(words):
    """Process 1 cannot read the arrays of the last checkpoint."""
    train(words, total_timesteps=1024)
    restore = Checkpointer.restore

    def fails(self, path, args):
        if HERE == 1 and path.name == "step_1024" and "state" in list(args.keys()):
            raise OSError(5, "Input/output error")
        return restore(self, path, args)

    with patch.object(Checkpointer, "restore", fails):
        train(words, total_timesteps=1280, resume=True)


def serve():
    """Does what each line says, in the folder that it names; says how that ended."""
    for line in sys.stdin:
        folder, case, words = json.loads(line)
        os.chdir(folder)
        status = 0
        try:
            globals()[case](words)
        except ConfigError as error:
            print(error)
            status = 1
        except SystemExit as end:
            status = end.code
        print(DONE, status, flush=True)


if __name__ == "__main__":
    connect(Cluster(f"127.0.0.1:{sys.argv[1]}", 2, HERE), timeout=30)
    serve()
