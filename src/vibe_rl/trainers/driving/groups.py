"""The tree of settings as plain values, made from the defaults of the dataclasses that they become:
nothing is written twice.

OmegaConf knows neither tuples nor unions, so lists stand for tuples; `plans` turns them back.
"""

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from vibe_rl.configs.train_config import ALGORITHMS, TrainConfig, algorithm_name
from vibe_rl.networks.encoder import ENCODERS, OF_TOKENS
from vibe_rl.networks.token_fields import TokenFields
from vibe_rl.run_dir.plain import plain
from vibe_rl.runner.config import RunnerConfig
from vibe_rl.trainers.driving.algorithm_settings import SETTINGS, AlgorithmSettings
from vibe_rl.trainers.driving.environment import environment_groups, simulator_node
from vibe_rl.trainers.driving.keys import (
    ELSEWHERE,
    ENCODER_NAMES,
    FIELDS,
    INTERVALS,
    PipelineKeys,
)
from vibe_rl.trainers.driving.scenarios import SOURCES

Node = dict[str, Any]
"""A part of the tree: names, and what they are at first."""
DEFAULTS = {
    "algorithm": "sac",
    "network/encoder": "none",
    "scenarios": "procedural",
    "observation": "vec_small",
    "reward": "progress",
    "logger": "tensorboard",
}
"""What each group is at first."""
ALIASES = {
    "network/encoder": {"perceiver": "lq", "mgail": "lqh"},
    "observation": {"road": "vec", "lane": "vec"},
}
"""V-Max's other names of some options."""
LOGGERS = ("tensorboard", "wandb", "mlflow", "sqlite")
OF_THE_TREE = ("num_envs", "encoder", *(field.name for field in fields(TokenFields)))
"""Fields of an algorithm that stand elsewhere in the tree."""


def node_of(record: Any, leave_out: Iterable[str] = ()) -> Node:
    """The fields of a dataclass, but for some, as plain values."""
    left = set(leave_out)
    return {f.name: plain(getattr(record, f.name)) for f in fields(record) if f.name not in left}


def top() -> Node:
    """The tree without what the groups hold."""
    covered = {*FIELDS.values(), *INTERVALS.values(), *ELSEWHERE}
    own = {"progress_bar": False}
    runner = node_of(RunnerConfig(), covered) | own
    return {**node_of(PipelineKeys()), "runner": runner, "simulator": simulator_node()}


def groups() -> dict[str, dict[str, Node]]:
    """The options of each group, from the top of the tree: some set keys of other sections."""
    own = {
        "scenarios": {name: {"name": name, **node_of(kind())} for name, kind in SOURCES.items()},
        **environment_groups(),
        "logger": {"none": {"track": []}, **{name: {"track": [name]} for name in LOGGERS}},
    }
    found = {"algorithm": algorithms(), "network/encoder": encoders()}
    for group, options in own.items():
        found[group] = {name: {group: node} for name, node in options.items()}
    for group, names in ALIASES.items():
        found[group] |= {alias: found[group][name] for alias, name in names.items()}
    return found


def encoders() -> dict[str, Node]:
    """An option for each encoder; those that see tokens have sizes, and see them as they are."""
    theirs = {ours: theirs for theirs, ours in ENCODER_NAMES.items()}
    plain_ones = {name: {"network": {"encoder": {"name": name}}} for name in ENCODERS}
    sizes, as_they_are = node_of(TokenFields()), {"normalize_obs": False}
    of_tokens = {
        theirs.get(name, name): {
            "network": {"encoder": {"name": theirs.get(name, name), **sizes}},
            "algorithm": as_they_are,
        }
        for name in OF_TOKENS
    }
    options = plain_ones | of_tokens
    return {name: node for name, node in options.items() if name not in theirs}


def algorithms() -> dict[str, Node]:
    """An option for each algorithm there is, with settings for driving where there are any."""
    plain_ones = {name: AlgorithmSettings(kind()) for name, (kind, _) in ALGORITHMS.items()}
    return {name: algorithm_node(each) for name, each in (plain_ones | SETTINGS).items()}


def algorithm_node(settings: AlgorithmSettings) -> Node:
    """An option of `algorithm`, from the top of the tree."""
    algo = settings.algo
    section = {"name": algorithm_name(TrainConfig(algo=algo)), **node_of(algo, OF_THE_TREE)}
    return {**settings.elsewhere(), "algorithm": section}
