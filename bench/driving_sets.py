"""Scenes of the benches of driving, written once and read by later calls."""

import hashlib
from pathlib import Path

from measured import cores

from vibe_rl.env.driving import generate as generator
from vibe_rl.env.driving.generate import GENERATED, generate
from vibe_rl.env.driving.io import write_scenarios
from vibe_rl.env.driving.motion import traffic
from vibe_rl.system.programs import cache_directory

SEEDS = {"train": 0, "validation": 1, "claim": 2}
"""Of the generator: scenes to learn from, those that are looked at meanwhile, and of claims."""
A_FAMILY = {"train": 2_048, "validation": 64, "claim": 128}
"""Scenes of each family."""


def version_of_scenes():
    """Eight digits that belong to the code that makes scenes."""
    files = [*sorted(Path(generator.__file__).parent.glob("[a-z]*.py")), Path(traffic.__file__)]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:8]


def folder_of(name, a_family=None, home=None, seed=None):
    """The folder of a set, which is written first if it is not there.

    Args:
        name: "train", "validation" or "claim".
        a_family: scenes of each family; those of `A_FAMILY` if not given.
        home: where sets are kept; the user's cache if not given.
        seed: of the generator; that of `SEEDS` if not given.
    """
    a_family, seed = a_family or A_FAMILY[name], SEEDS[name] if seed is None else seed
    home = Path(home) if home else cache_directory().parent / "driving_bench"
    folder = (home / f"{seed}_{a_family}_{version_of_scenes()}").absolute()
    if not folder.exists():
        count = a_family * len(GENERATED)
        print(f"{folder} is being written: {count:,} scenes", flush=True)
        home.mkdir(parents=True, exist_ok=True)
        processes = cores() if count > 256 else 1
        write_scenarios(folder, generate(seed, count, processes=processes))
    return str(folder)
