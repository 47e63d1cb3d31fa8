"""The parts of the tree that are the environment's: what is seen, rewarded, and how one drives."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from vibe_rl.env.driving.env import Driving
from vibe_rl.env.driving.observe import VIEWS
from vibe_rl.env.driving.reward import PRESETS, TERMS
from vibe_rl.errors import unknown
from vibe_rl.run_dir.plain import plain
from vibe_rl.trainers.driving.keys import PipelineKeys

ENV_ID = "Driving-v0"
TERMINATES = {
    "overlap": "terminate_overlap",
    "offroad": "terminate_offroad",
    "run_red_light": "terminate_red_light",
}
"""What may end an episode, by V-Max's name, and the constant that says whether it does."""
SIMULATOR = {"steering": "lateral"}
"""What is learned in differs so from `Driving`'s own fields, unless a tree says otherwise."""
Node = dict[str, Any]


def environment_groups() -> dict[str, dict[str, Node]]:
    """The options of `observation` and `reward`."""
    views = {name: {"name": name, **plain(view.__dict__)} for name, view in VIEWS.items()}
    rewards = {
        name: {"name": name, "weights": {term: weights.get(term, 0.0) for term in TERMS}}
        for name, weights in PRESETS.items()
    }
    return {"observation": views, "reward": rewards}


def simulator_node() -> Node:
    """The section `simulator`: how one drives, and who else does."""
    own = {field.name: plain(getattr(Driving(), field.name)) for field in fields(Driving)}
    del own["observation"]
    return own | SIMULATOR


def env_kwargs(keys: PipelineKeys, values: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of the environment that a tree's values are, but for its scenarios.

    Raises:
        ConfigError: there is no such preset, term or termination key.
    """
    for key in keys.termination_keys:
        if key not in TERMINATES:
            raise unknown("termination key", key, TERMINATES)
    ends = {field: key in keys.termination_keys for key, field in TERMINATES.items()}
    observation, reward = values["observation"], values["reward"]
    return {
        **simulator_kwargs(values["simulator"]),
        **{name: False for name, ends_it in ends.items() if not ends_it},
        "observation": observation_of(observation),
        "reward": reward_text(reward["name"], reward["weights"]),
    }


def simulator_kwargs(section: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the simulator that are not as at first."""
    known = {field.name: field.default for field in fields(Driving)}
    return {name: plain(x) for name, x in section.items() if x != known.get(name)}


def observation_of(section: Mapping[str, Any]) -> Any:
    """The name of a view, or with it the fields that differ."""
    name = section["name"]
    if name not in VIEWS:
        raise unknown("observation.name", str(name), VIEWS)
    known = VIEWS[name].__dict__
    differing = {f: x for f, x in section.items() if f != "name" and x != known.get(f)}
    return {"name": name, **differing} if differing else name


def reward_text(name: str, weights: Mapping[str, float]) -> str:
    """A preset and the weights that differ from it, as the environment takes them."""
    if name not in PRESETS:
        raise unknown("reward.name", str(name), PRESETS)
    known = PRESETS[name]
    differing = {term: x for term, x in weights.items() if x != known.get(term, 0.0)}
    return ",".join([name, *(f"{term}={x}" for term, x in differing.items())])
