"""How well agents learn to drive: trains on seeds, then drives scenes that no training saw.

    python bench/driving_learning.py sac --seeds 31,32,33
    python bench/driving_learning.py sac --seeds 1 --minutes 5 --set algorithm.gamma=0.95

Trained as users do, by a tree of settings, on 8,192 generated scenes. While it learns, 256 scenes
of another seed are driven to see how far it is, and choose the best checkpoint. At the end the last
agent and that best one drive 512 scenes of a third seed, which decide nothing. With `bc`, the last
agent and one that keeps speed and heading drive them again, and nothing ends an episode: how far
from the log they come. `--minutes` ends a training so long after its first row, when learning rates
have not fallen all the way. Rows that `bench/driving_learning.json` has are not measured again.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import jax
import numpy as np
from driving_sets import A_FAMILY, SEEDS, folder_of, version_of_scenes
from measured import has, kept, machine

from vibe_rl.env.actors import actor_named
from vibe_rl.metrics import read_metrics
from vibe_rl.system.programs import enable_compilation_cache
from vibe_rl.trainers.driving.composing import compose
from vibe_rl.trainers.driving.evaluating import drive
from vibe_rl.trainers.driving.plans import plan_of
from vibe_rl.trainers.driving.results import summarize
from vibe_rl.trainers.driving.training import train_tree
from vibe_rl.trainers.driving.worlds import AGENT, WantedEvaluation, open_worlds

SETTINGS = {
    "sac": (2_000_000, ["algorithm=sac"]),
    "ppo": (8_000_000, ["algorithm=ppo"]),
    "bc": (1_000_000, ["algorithm=bc"]),
    "bc_sac": (2_000_000, ["algorithm=bc_sac"]),
    "seed": (800_000, ["algorithm=sac_vmax", "reward=navigation"]),
}
"""Env steps, and words of the tree. `seed` has the numbers of V-Max: 16 envs, batches
of 64, a gradient step every 4 env steps, a temperature of 0.2, and only whether there is progress.
"""
FIGURES = Path(__file__).with_suffix(".json")
EVERY = 250_000
"""Env steps between looks at the validation scenes, about."""
TOLD = (
    *("success", "success_ci", "accuracy", "progress", "return", "overlap", "offroad"),
    *("run_red_light", "log_divergence", "vmax_aggregate_score", "nuplan_aggregate_score"),
)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("settings", choices=SETTINGS)
    parser.add_argument("--seeds", default="31,32,33")
    parser.add_argument("--steps", type=float, help="env steps, in place of those of the settings")
    parser.add_argument("--minutes", type=float, help="ends each training after so many")
    parser.add_argument("--set", nargs="*", default=[], help="overrides of the tree, NAME=VALUE")
    parser.add_argument("--json", default=str(FIGURES), help="the file of rows")
    parser.add_argument("--scenarios", help="where scenes are kept; the user's cache if not given")
    parser.add_argument("--a-family", default=json.dumps(A_FAMILY), help="scenes of each family")
    parser.add_argument("--runs", help="where runs are kept; a temporary folder if not given")
    options = parser.parse_args()
    sizes = json.loads(options.a_family)
    options.folders = {name: folder_of(name, sizes[name], options.scenarios) for name in SEEDS}
    return options


def tree_of(options, seed, runs):
    """The composed tree of one training."""
    steps, words = SETTINGS[options.settings]
    words = [*words, f"seed={seed}", "logger=none", "runner.plot=false"]
    words += [f"path_dataset={options.folders['train']}", f"name_exp={runs}"]
    words += [f"path_dataset_eval={options.folders['validation']}", "save_freq=0"]
    words += [f"total_timesteps={int(options.steps or steps)}"]
    words += ["runner.checkpoint_replay=false"] * ("algorithm=ppo" not in words)
    often = plan_of(compose([*words, *options.set])).keys.iteration_steps()
    every = max(round(EVERY / often), 1)
    return compose([*words, "log_freq=1", f"eval_freq={every}", *options.set])


def until(minutes):
    """Ends a training so many minutes after its first row; None never does."""
    rows = []

    def callback(step, agent, row):
        rows.append(time.perf_counter())
        return minutes is None or rows[-1] - rows[0] < 60 * minutes

    return callback


def trained(options, seed, runs):
    """Trains one agent: its run, and how that went."""
    run, result = train_tree(tree_of(options, seed, runs), until(options.minutes))
    rows = [row for row in read_metrics(run.log_path()) if "eval_success_mean" in row]
    curve = [[row["step"], round(row["wall_time"]), row["eval_success_mean"]] for row in rows]
    seconds = {name: round(spent) for name, spent in result.seconds.items()}
    return run, {
        "env_steps": int(result.step),
        "seconds": round(sum(result.seconds.values())),
        "of_which": seconds,
        "steps_per_second": round(result.step / max(result.seconds["chunks"], 1e-3)),
        "curve": curve,
    }


def rounded(figures):
    """The figures that are kept."""
    part = {name: np.round(figures[name], 4).tolist() for name in TOLD if name in figures}
    return part | {"scenarios": figures["scenarios"], "ended_by": figures["ended_by"]}


def opened(wanted, name):
    """Who drives, and where."""
    (actor,), world = open_worlds(wanted, [name])
    return actor, world


def driven(run, options, best):
    """What the agent of a run does on the scenes of claims, each once."""
    claim = {"dataset": options.folders["claim"], "split": "all"}
    figures = summarize(drive(*opened(WantedEvaluation(run=str(run), best=best, **claim), AGENT)))
    families = {name: rounded(part) for name, part in figures["families"].items()}
    return {**rounded(figures), "families": families}


def unended(run, options):
    """Metres from the log where nothing ends an episode: of the agent, and at constant speed."""
    claim = {"dataset": options.folders["claim"], "split": "all"}
    agent, world = opened(WantedEvaluation(run=str(run), **claim), AGENT)
    ends = [name for name in world.env_params._fields if name.startswith("terminate_")]
    never = world.env_params._replace(**dict.fromkeys(ends, np.bool_(False)))
    world = world._replace(env_params=never)
    actors = {"agent": agent, "constant": actor_named("constant", world.env, never)}
    drives = {name: drive(actor, world) for name, actor in actors.items()}
    return {name: float(np.mean(x.figures["log_divergence"])) for name, x in drives.items()}


def measured(options, seed, runs):
    """The row of one seed."""
    run, training = trained(options, seed, runs)
    with jax.default_matmul_precision("highest"):
        row = {
            **wanted(options, seed),
            **training,
            "last": driven(run, options, best=False),
            "best_of_validation": driven(run, options, best=True),
        }
        if options.settings.startswith("bc"):
            row["log_divergence_without_ends"] = unended(run, options)
    return row | machine()


def wanted(options, seed):
    """What a row is known by."""
    steps = int(options.steps or SETTINGS[options.settings][0])
    budget = {"budget": steps, "minutes": options.minutes, "set": options.set}
    scenes = {"scenes": version_of_scenes(), "train": json.loads(options.a_family)["train"]}
    return {"settings": options.settings, "seed": seed, **budget, **scenes}


def told(row):
    """A row in a line."""
    last, best = row["last"], row["best_of_validation"]
    families = ", ".join(f"{n} {x['success']:.3f}" for n, x in last["families"].items())
    return (
        f"{row['settings']} {row['set']} seed {row['seed']} | {row['env_steps']:,} steps in "
        f"{row['seconds']} s, {row['steps_per_second']:,} a second | success {last['success']:.3f} "
        f"({families}), best {best['success']:.3f} | accuracy {last['accuracy']:.3f} | progress "
        f"{last['progress']:.2f} | {last['ended_by']} "
        f"{row.get('log_divergence_without_ends', '')}"
    )


def main():
    options = parse()
    enable_compilation_cache()
    file = kept(options.json)
    for seed in map(int, options.seeds.split(",")):
        name = wanted(options, seed)
        if has(file.rows(), name):
            print(f"{name} is in {options.json} already", flush=True)
            continue
        with tempfile.TemporaryDirectory() as folder:
            row = measured(options, seed, options.runs or folder)
        file.keep(row)
        print(told(row), flush=True)


if __name__ == "__main__":
    main()
