"""The tree of settings as plain values, made from the defaults of the dataclasses that they become:
nothing is written twice.

OmegaConf knows neither tuples nor unions, so lists stand for tuples; `plans` turns them back.
"""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from vibe_rl.configs.train_config import ALGORITHMS
from vibe_rl.networks.encoder import ENCODERS, OF_TOKENS
from vibe_rl.networks.token_fields import TokenFields
from vibe_rl.run_dir.plain import plain
from vibe_rl.runner.config import RunnerConfig
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

SETTINGS: dict[str, tuple[str, Node, Node]] = {
    "sac": (
        "sac",
        {
            **{"batch_size": 256, "replay_ratio": 1 / 64, "n_step": 5, "tau": 0.01, "gamma": 0.97},
            **{"normalize_obs": True, "init_alpha": 0.2, "grad_norms": True},
            **{"lr_end_factor": 0.0, "average_decay": 0.999},
        },
        {"num_envs": 256, "runner": {"buffer_size": 200_000, "warmup_steps": 20_000}},
    ),
    "sac_vmax": (
        "sac",
        {
            **{"batch_size": 64, "replay_ratio": 0.25, "autotune_alpha": False, "init_alpha": 0.2},
            "grad_norms": True,
        },
        {
            **{"num_envs": 16, "simulator": {"steering": "curvature"}},
            "runner": {"buffer_size": 100_000, "warmup_steps": 1_600},
        },
    ),
    "ppo": (
        "ppo",
        {
            **{"hidden_sizes": (256, 256), "n_steps": 64, "n_minibatches": 8, "n_epochs": 4},
            **{"lr": 1e-3, "lr_end": 0.0, "gamma": 0.98, "ent_coef": 0.01, "normalize_obs": True},
            **{"activation": "relu", "shared_backbone": True},
        },
        {"num_envs": 256},
    ),
    "ppo_vmax": (
        "ppo",
        {
            **{"hidden_sizes": (256, 64, 32), "n_steps": 1280, "n_minibatches": 4, "n_epochs": 4},
            **{"lr": 3e-4, "gamma": 0.99, "ent_coef": 0.01},
        },
        {"num_envs": 16, "simulator": {"steering": "curvature"}},
    ),
    "bc": (
        "bc",
        {
            **{"hidden_sizes": (256, 256), "lr": 1e-3, "lr_end": 0.0, "batch_size": 256},
            **{"replay_ratio": 1 / 16, "expert_noise": 0.1, "normalize_obs": True},
        },
        {"num_envs": 256, "runner": {"buffer_size": 200_000, "warmup_steps": 20_000}},
    ),
    "bc_sac": (
        "bc_sac",
        {
            **{"hidden_sizes": (256, 256), "batch_size": 256, "replay_ratio": 1 / 64, "n_step": 5},
            **{"tau": 0.01, "gamma": 0.97, "actor_lr": 3e-4, "critic_lr": 3e-4, "lr": 1e-3},
            **{"lr_end": 0.0, "imitation_every": 4, "expert_noise": 0.1},
            **{"normalize_obs": True, "autotune_alpha": True},
            **{"lr_end_factor": 0.0, "average_decay": 0.999, "grad_norms": True},
        },
        {"num_envs": 256, "runner": {"buffer_size": 200_000, "warmup_steps": 20_000}},
    ),
    "bc_sac_vmax": (
        "bc_sac",
        {"replay_ratio": 0.25, "grad_norms": True},
        {
            **{"num_envs": 16, "simulator": {"steering": "curvature"}},
            "runner": {"buffer_size": 500_000, "warmup_steps": 50_000},
        },
    ),
    "bc_vmax": (
        "bc",
        {
            **{"hidden_sizes": (256, 64, 32), "activation": "tanh", "lr": 1e-4, "batch_size": 64},
            "replay_ratio": 0.5,
        },
        {
            **{"num_envs": 16, "simulator": {"steering": "curvature"}},
            "runner": {"buffer_size": 1_000_000, "warmup_steps": 1_600},
        },
    ),
}
"""By the name of an option of `algorithm`: the algorithm, its fields that differ from their
defaults, and keys elsewhere that belong to them. Those of V-Max end in _vmax."""


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
    plain_ones = {name: (name, {}, {}) for name in ALGORITHMS}
    return {name: algorithm_node(*each) for name, each in (plain_ones | SETTINGS).items()}


def algorithm_node(name: str, values: Mapping[str, Any], elsewhere: Mapping[str, Any]) -> Node:
    """An option of `algorithm`, from the top of the tree."""
    config = ALGORITHMS[name][0](**values)
    return {**elsewhere, "algorithm": {"name": name, **node_of(config, OF_THE_TREE)}}
