"""What scripted drivers reach on generated scenes, which are to be neither trivial nor impossible.

    python bench/driving_bands.py
    python bench/driving_bands.py --scenes 8 --actors expert constant

All scenes of the seed that claims are made on, 128 of each family, are driven once by everybody. A
table of success, by family and over all, and `bench/driving_bands.json`. Ends with status 1 where
somebody is outside of the band that belongs to them, over all families.
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import jax
from driving_sets import A_FAMILY, SEEDS, folder_of, version_of_scenes
from measured import machine

from vibe_rl.system.programs import enable_compilation_cache
from vibe_rl.trainers.driving.evaluating import drive
from vibe_rl.trainers.driving.results import summarize
from vibe_rl.trainers.driving.worlds import WantedEvaluation, open_worlds

FACTORS = (1.0, 0.85, 0.7, 0.5)
ACTORS = {
    "expert": ("expert", {}),
    "idm": ("idm", {}),
    **{f"lane {factor:g}": ("lane", {"factor": factor}) for factor in FACTORS},
    "cruise": ("cruise", {}),
    "brake 1": ("brake", {"braking": 1.0}),
    "brake 3": ("brake", {}),
    "constant": ("constant", {}),
    "random": ("random", {}),
}
"""Who drives: an actor by its name, and fields of it."""
BANDS = {
    "expert": (0.99, 1.0),
    **{f"lane {factor:g}": (0.0, 0.6) for factor in FACTORS},
    "cruise": (0.0, 0.6),
    "brake 3": (0.0, 0.05),
    "constant": (0.0, 0.3),
    "random": (0.0, 0.02),
}
"""The least and the largest success over all families."""
TOLD = ("success", "success_ci", "accuracy", "progress", "ended_by")
FIGURES = Path(__file__).with_suffix(".json")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=A_FAMILY["claim"], help="of each family")
    parser.add_argument("--seed", type=int, default=SEEDS["claim"], help="of the generator")
    parser.add_argument("--actors", nargs="+", choices=ACTORS, default=list(ACTORS))
    parser.add_argument("--json", default=str(FIGURES), help="the file of the figures")
    parser.add_argument("--scenarios", help="where scenes are kept; the user's cache if not given")
    return parser.parse_args()


def driven(name, folder):
    """How somebody drives all scenes of a folder."""
    actor, fields = ACTORS[name]
    (found,), world = open_worlds(WantedEvaluation(dataset=folder, split="all"), [actor])
    figures = summarize(drive(replace(found, **fields) if fields else found, world))
    parts = {"all": figures, **figures["families"]}
    return {family: {key: part[key] for key in TOLD} for family, part in parts.items()}


def line(name, parts):
    """A row of the table."""
    families = [part for family, part in parts.items() if family != "all"]
    cells = [f"{part['success']:.3f}" for part in (parts["all"], *families)]
    return f"| {name} | {' | '.join(cells)} | {parts['all']['progress']:.2f} |"


def broken(found):
    """A sentence for everybody who is outside of their band."""
    told = []
    for name in BANDS.keys() & found.keys():
        (low, high), success = BANDS[name], found[name]["all"]["success"]
        if not low <= success <= high:
            told.append(f"{name}: success {success:.3f} is not from {low} to {high}.")
    return sorted(told)


def main():
    options = parse()
    enable_compilation_cache()
    folder = folder_of("claim", options.scenes, options.scenarios, options.seed)
    found = {}
    for name in options.actors:
        with jax.default_matmul_precision("highest"):
            found[name] = driven(name, folder)
        if len(found) == 1:
            families = [family for family in found[name] if family != "all"]
            print(f"| driver | all | {' | '.join(families)} | progress |")
            print("|---" * (len(families) + 3) + "|")
        print(line(name, found[name]), flush=True)
    about = {"seed": options.seed, "scenes_a_family": options.scenes, **machine()}
    about["scenes"] = version_of_scenes()
    Path(options.json).write_text(json.dumps({**about, "drivers": found}, indent=1) + "\n")
    told = broken(found)
    print("\n".join(told), file=sys.stderr)
    sys.exit(bool(told))


if __name__ == "__main__":
    main()
