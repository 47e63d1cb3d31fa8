"""What presets reach, seed by seed, beside what others have published, as a page.

    python bench/scoreboard.py                      # all that is missing, then the page
    python bench/scoreboard.py 'ppo/gymnax:*/1000000' --minutes 60
    python bench/scoreboard.py --page               # the page alone

Trains each seed of each row and evaluates it once, at the end, greedily. Rows and seeds that
`bench/scoreboard.json` has, of the same settings and the same version of the library, are not
trained again: it may be interrupted at any time. It writes docs/scoreboard.md.
"""

import argparse
import fnmatch
import json
import math
import time
from importlib import import_module
from pathlib import Path

import numpy as np
from measured import has, kept, machine
from scoreboard_page import write_page
from scoreboard_rows import ROWS
from settings_digest import digest

from vibe_rl import __version__
from vibe_rl.errors import ConfigError
from vibe_rl.experiment.build import build, with_seed
from vibe_rl.system.programs import enable_compilation_cache

fit = import_module("vibe_rl.runner.fit").fit
FIGURES = Path(__file__).with_suffix(".json")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", default=["*"], help="names or patterns; all by default")
    parser.add_argument("--seeds", type=int, help="only the first so many of each row")
    parser.add_argument("--minutes", type=float, help="begins no training after so many")
    parser.add_argument("--json", default=str(FIGURES), help="where figures are kept")
    parser.add_argument("--list", action="store_true", help="names of rows, and what is missing")
    parser.add_argument("--page", action="store_true", help="write the page and train nothing")
    return parser.parse_args()


def chosen(patterns):
    """The rows that the words name; ends the program where a word names none."""
    found = {}
    for pattern in patterns:
        some = {name: row for name, row in ROWS.items() if fnmatch.fnmatchcase(name, pattern)}
        if not some:
            raise SystemExit(f"no row is called {pattern}: --list says what there is.")
        found |= some
    return found


def wanted(row, seed):
    """What a figure is known by."""
    return {"row": row.name, "config": digest(row.config), "vibe_rl": __version__, "seed": seed}


class Curve:
    """A tracker that remembers the returns of training, and when each row came."""

    def __init__(self):
        self.points = []

    def log(self, row, step):
        if "episode_return_mean" in row:
            self.points.append([step, round(row["episode_return_mean"], 3)])

    def close(self):
        pass


def trained(row, seed):
    """The figure of one seed."""
    curve, began = Curve(), time.perf_counter()
    result = fit(build(with_seed(row.config, seed)), curve)
    seconds = time.perf_counter() - began
    scores = result.evaluation
    whole = {"seconds": round(seconds, 1), "compile": round(result.seconds["compile"], 1)}
    greedy = {
        "score": float(scores.mean_return),
        "spread": float(np.std(scores.episode_returns)),
        "length": float(scores.mean_length),
        "finished": float(np.mean(scores.finished)),
        "episodes": row.config.runner.eval_episodes,
    }
    rate = round(result.step / (seconds - result.seconds["compile"]))
    about = {"steps": result.step, "steps_per_second": rate}
    return {**wanted(row, seed), **greedy, **about, **whole, "curve": curve.points, **machine()}


def train_missing(rows, options):
    """Trains what is not known yet, the first seeds of all rows first."""
    file = kept(options.json)
    ends = time.monotonic() + 60 * (options.minutes or math.inf)
    most = max(len(row.seeds) for row in rows.values())
    for i in range(min(most, options.seeds or most)):
        for row in rows.values():
            if i >= len(row.seeds) or has(file.rows(), wanted(row, row.seeds[i])):
                continue
            if time.monotonic() > ends:
                return
            figure = trained(row, row.seeds[i])
            file.keep(figure)
            told = {name: figure[name] for name in ("row", "seed", "score", "seconds")}
            print(json.dumps(told), flush=True)


def servable(rows):
    """Those whose environments can be made here; the others are named."""
    found = {}
    for name, row in rows.items():
        try:
            build(row.config)
        except ConfigError as error:
            print(f"{name} is left out: {error}", flush=True)
            continue
        found[name] = row
    return found


def say_what_is_missing(rows, file):
    """A line for each row."""
    for row in rows.values():
        known = sum(has(file.rows(), wanted(row, seed)) for seed in row.seeds)
        print(f"{row.name}: {known} of {len(row.seeds)} seeds")


def main():
    options = parse()
    rows = chosen(options.rows)
    if options.list:
        say_what_is_missing(rows, kept(options.json))
        return
    if not options.page:
        enable_compilation_cache()
        train_missing(servable(rows), options)
    print(f"{write_page(kept(options.json).rows())} is written.")


if __name__ == "__main__":
    main()
