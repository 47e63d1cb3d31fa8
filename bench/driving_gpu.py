"""Driving on one GPU in a few minutes: how fast it is, how fast SAC learns it, and how well.

    python bench/driving_gpu.py
    python bench/driving_gpu.py --width 64 --seconds 5 --minutes 1 --steps 2e5   # on a CPU

Lines as soon as they are known: of the scenes, which processes on the CPU make first; of steps a
second of random driving; and of a training by SAC with as many envs, as in `driving_learning.py`.
"""

import argparse
import json
import tempfile
import time

import driving_env
import driving_learning
from driving_sets import SEEDS, folder_of, version_of_scenes
from measured import machine

from vibe_rl.system.programs import enable_compilation_cache

A_FAMILY = {"train": 256, "validation": 32, "claim": 64}
"""Scenes of each family: fewer than on a CPU, for here one waits for them."""


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=1024, help="envs")
    parser.add_argument("--seconds", type=float, default=10.0, help="of random driving")
    parser.add_argument("--minutes", type=float, default=3.0, help="of training, at most")
    parser.add_argument("--steps", type=float, default=1e7, help="env steps of training, at most")
    parser.add_argument("--settings", choices=driving_learning.SETTINGS, default="sac")
    parser.add_argument("--seed", type=int, default=31)
    parser.add_argument("--a-family", default=json.dumps(A_FAMILY), help="scenes of each family")
    parser.add_argument("--set", nargs="*", default=[], help="overrides of the tree, NAME=VALUE")
    parser.add_argument("--scenarios", help="where scenes are kept; the user's cache if not given")
    return parser.parse_args()


def scenes(options):
    """Writes the sets, and says how long that took."""
    begin, sizes = time.perf_counter(), json.loads(options.a_family)
    options.folders = {name: folder_of(name, sizes[name], options.scenarios) for name in SEEDS}
    return {"scenes": version_of_scenes(), "seconds": round(time.perf_counter() - begin, 1)}


def random_driving(options):
    """See `driving_env`."""
    folder = options.folders["train"]
    return driving_env.random_driving("replay", options.width, options.seconds, folder)


def training(options):
    """The row of `driving_learning`."""
    options.set = [f"num_envs={options.width}", *options.set]
    with tempfile.TemporaryDirectory() as runs:
        return driving_learning.measured(options, options.seed, runs)


def main():
    options = parse()
    enable_compilation_cache()
    print(json.dumps(machine()), flush=True)
    for part in (scenes, random_driving, training):
        print(json.dumps({"part": part.__name__, **part(options)}), flush=True)


if __name__ == "__main__":
    main()
