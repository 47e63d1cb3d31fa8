"""A `PPOTrainer` for every setting of a grid and every seed, one after the other, in one group."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from vibe_rl.algorithms.ppo import PPOConfig
from vibe_rl.errors import ConfigError, TrainingInterrupted, unknown
from vibe_rl.experiment.config_files import write_run_files
from vibe_rl.experiment.group import write_table
from vibe_rl.ops import prng
from vibe_rl.plotting.canvas import save
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.tracking.base import Tee
from vibe_rl.tracking.named import how_it_ended
from vibe_rl.tracking.opening import Destinations, open_named
from vibe_rl.trainers.ppo_trainer.agent import PPOAgent
from vibe_rl.trainers.ppo_trainer.agent_config import SAME, AgentConfig
from vibe_rl.trainers.ppo_trainer.cartpole import CartPoleWrapper
from vibe_rl.trainers.ppo_trainer.figures.heat_maps import hyperparameter_heatmap
from vibe_rl.trainers.ppo_trainer.results import TrainResults
from vibe_rl.trainers.ppo_trainer.settings import TrainerSettings
from vibe_rl.trainers.ppo_trainer.trainer import PPOTrainer

Grid = Mapping[str, Sequence[Any]]
"""Values of arguments of `PPOAgent` and `PPOTrainer`, by their names."""
SCORE = "final_avg_reward"
COLUMNS = (
    *(SCORE, "final_std_reward", "best_avg_reward", "converged", "convergence_episode"),
    *("total_episodes", "total_steps", "training_time"),
)
OF_TRAINER = (
    *("enable_mlflow", "mlflow_experiment_name", "register_stage", "track", "csv", "plot"),
    "verbose",
)
"""Arguments of `PPOTrainer` that are no settings."""
ITS_OWN = ("seed", "run_dir", "base_dir", "key", "observation_dim", "action_dim")
OURS = {ours: name for name, ours in SAME.items()}
"""The library's names of an agent's arguments, such as lr."""


def sweep_trainers(
    seeds: Sequence[int],
    grid: Grid,
    *,
    arguments: Mapping[str, Any] | None = None,
    base_dir: str | Path = "runs",
    show: Callable[[str], object] = print,
) -> tuple[RunDir, list[dict[str, Any]]]:
    """Trains every setting of the grid with every seed.

    Args:
        seeds: of each setting; they seed the agent too.
        grid: what varies.
        arguments: of `PPOAgent` and `PPOTrainer`, for all.
        base_dir: of the group's directory, which holds `sweep.csv` and, of a grid, a heat map.
        show: gets a line about each training.

    Returns:
        The group's directory, and a row for each training.

    Raises:
        ConfigError: a setting cannot work; nothing is trained then.
        TrainingInterrupted: Ctrl-C or SIGTERM ended it; what was trained is in the directory.
    """
    grid = {OURS.get(name, name): list(values) for name, values in grid.items()}
    plans = planned(seeds, grid, arguments or {})
    first = plans[0].trainer
    group = RunDir(f"{first.name}_sweep", base_dir)
    about = {"grid": grid, "seeds": list(seeds), "experiment": first.name}
    write_run_files(group, first.config, about)
    (group.root / "members").mkdir()
    rows, signal = train_all(plans, group, lambda row: show(line_of(row, grid)))
    if rows:
        write_group(group, rows, grid, first.track)
    if signal:
        raise TrainingInterrupted((group, rows), signal)
    return group, rows


class _Plan(NamedTuple):
    """One training of a sweep."""

    setting: dict[str, Any]
    seed: int
    trainer: PPOTrainer

    @property
    def name(self) -> str:
        """Of its directory."""
        parts = [f"{name}={value}" for name, value in self.setting.items()]
        return "_".join([*parts, f"seed_{self.seed}"]).replace("/", "-")


def planned(seeds: Sequence[int], grid: Grid, arguments: Mapping[str, Any]) -> list[_Plan]:
    """Every training, with a trainer that nothing refuses.

    Raises:
        ConfigError: one cannot work, or there are none.
    """
    settings = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    plans = [
        _Plan(setting, seed, _trainer_of({**arguments, **setting}, seed))
        for setting in settings
        for seed in seeds
    ]
    if not plans:
        raise ConfigError("a sweep of no seed or no value trains nothing: give one or more.")
    names = [plan.name for plan in plans]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{name} is in the sweep twice: give each seed and value once.")
    return plans


def train_all(
    plans: Sequence[_Plan], group: RunDir, show: Callable[[dict[str, Any]], object]
) -> tuple[list[dict[str, Any]], int]:
    """Trains one after the other; their rows, and the number of a signal that ended it, or 0."""
    rows = []
    for plan in plans:
        plan.trainer.place(group.root / "members" / plan.name)
        try:
            results = plan.trainer.train()
        except TrainingInterrupted as interrupted:
            return rows, interrupted.signal
        rows.append(_row_of(plan.setting, plan.seed, results))
        show(rows[-1])
    return rows, 0


def _trainer_of(arguments: Mapping[str, Any], seed: int) -> PPOTrainer:
    """The trainer with these arguments of its agent and of its own."""
    of_trainer = _names_of(TrainerSettings) | set(OF_TRAINER)
    known = of_trainer | _names_of(AgentConfig) | _names_of(PPOConfig)
    for name in arguments:
        if name in ITS_OWN:
            raise ConfigError(f"{name} of a sweep: each training has its own, leave it out.")
        if name not in known:
            raise unknown("argument of a sweep", name, known)
    env = CartPoleWrapper()
    sizes = env.observation_dim, env.action_dim
    rest = {name: x for name, x in arguments.items() if name not in of_trainer}
    own = {name: x for name, x in arguments.items() if name in of_trainer}
    agent = PPOAgent(*sizes, key=prng.jax_key(seed), **rest)
    return PPOTrainer(agent, env, seed=seed, **{"verbose": False, "plot": False, **own})


def _names_of(kind: Any) -> set[str]:
    """The fields of a dataclass."""
    return {f.name for f in fields(kind)}


def _row_of(setting: Mapping[str, Any], seed: int, results: TrainResults) -> dict[str, Any]:
    """What the table has of a training."""
    return {**setting, "seed": seed, **{name: results[name] for name in COLUMNS}}  # type: ignore[literal-required]


def line_of(row: Mapping[str, Any], grid: Grid) -> str:
    """A training in one line."""
    setting = "".join(f"{name} {row[name]} | " for name in grid)
    end = "did not converge"
    if row["converged"]:
        end = f"converged after {row['convergence_episode']} episodes"
    return f"{setting}seed {row['seed']} | {end} | return {row[SCORE]:.1f}"


def write_group(
    group: RunDir, rows: Sequence[Mapping[str, Any]], grid: Grid, track: Sequence[str]
) -> None:
    """Writes the table and the heat map, and tells the group's own run in MLflow of them."""
    table = group.artifact_path("sweep.csv")
    write_table(table, rows)
    files = [table, *_draw(group, rows, grid)]
    scores = [row[SCORE] for row in rows if row[SCORE] is not None]
    converged = float(np.mean([row["converged"] for row in rows]))
    numbers = {
        f"{SCORE}_mean": float(np.mean(scores)),
        f"{SCORE}_std": float(np.std(scores)),
        "converged_share": converged,
    }
    with Destinations() as destinations, Tee(*open_named(track, group, 0, destinations)) as tee:
        tee.status = how_it_ended(group)
        tee.log_config({"grid": {name: str(list(values)) for name, values in grid.items()}})
        tee.log(numbers, len(rows))
        for path in files:
            tee.log_file(path)


def _draw(group: RunDir, rows: Sequence[Mapping[str, Any]], grid: Grid) -> list[Path]:
    """The heat map of the mean scores over two arguments, or one and the seeds; none without."""
    if not grid:
        return []
    first, second = [*grid, "seed"][:2]
    names, values = (first, second), (values_of(rows, first), values_of(rows, second))
    path = group.artifact_path(f"hyperparameter_analysis/hyperparameter_heatmap_{SCORE}.png")
    with suppress(ConfigError):  # matplotlib is not installed
        save(hyperparameter_heatmap(names, values, mean_scores(rows, names, values)), path)
        return [path]
    return []


def values_of(rows: Sequence[Mapping[str, Any]], name: str) -> list[Any]:
    """The different values of an argument, in the order in which they were trained."""
    return list(dict.fromkeys(row[name] for row in rows))


def mean_scores(
    rows: Sequence[Mapping[str, Any]], names: Sequence[str], values: Sequence[Sequence[Any]]
) -> Float[np.ndarray, "n m"]:
    """The mean score of every pair of values of two arguments; NaN where there is none."""
    means = np.full((len(values[0]), len(values[1])), np.nan)
    for i, j in np.ndindex(*means.shape):
        pair = values[0][i], values[1][j]
        scores = [row[SCORE] for row in rows if (row[names[0]], row[names[1]]) == pair]
        means[i, j] = np.mean(scores) if scores else np.nan
    return means
