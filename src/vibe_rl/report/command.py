"""How a run differs from its preset, and the command that trains it again."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from vibe_rl.configs import cli
from vibe_rl.configs.for_env import FOR_ANY_ENV, config_for
from vibe_rl.configs.presets import PRESETS
from vibe_rl.configs.train_config import TrainConfig, from_dict, to_dict
from vibe_rl.errors import ConfigError
from vibe_rl.experiment.build import as_recorded
from vibe_rl.run_dir.plain import plain

WHOLE = ("env_kwargs",)
"""Fields that are dicts and are shown and typed as one."""


class _Difference(NamedTuple):
    """A field that is not as elsewhere."""

    field: str  # its dotted name, such as algo.lr
    there: Any  # None where it is not there at all
    here: Any


def flat_settings(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The fields of a recorded config by their dotted names."""
    for name, value in record.items():
        if isinstance(value, Mapping) and name not in WHOLE:
            yield from flat_settings(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[_Difference]:
    """The fields of two recorded configs that differ, in the order of `here`."""
    other, own = dict(flat_settings(there)), dict(flat_settings(here))
    names = dict.fromkeys([*own, *other])
    pairs = {name: (other.get(name), own.get(name)) for name in names}
    return [_Difference(name, a, b) for name, (a, b) in pairs.items() if a != b]


def recorded(config: TrainConfig) -> dict[str, Any]:
    """A config as the files of a run hold it."""
    return plain(to_dict(as_recorded(config)))


def nearest_preset(config: Mapping[str, Any], command: Sequence[str] = ()) -> str | None:
    """The preset that a command names, else the nearest one of its task; None if there is none."""
    named = [word for word in command if word in PRESETS or word in FOR_ANY_ENV]
    if (
        named
        and named[0] == config.get("algorithm")
        and recorded_preset(named[0], config) is not None
    ):
        return named[0]
    fitting = {
        name: len(differences(recorded(preset), config))
        for name, (_, preset) in PRESETS.items()
        if recorded(preset)["algorithm"] == config.get("algorithm")
    }
    if named and named[0] in fitting:
        return named[0]
    same_task = [n for n in fitting if PRESETS[n][1].env_id == config.get("env_id")]
    return min(same_task or fitting, key=fitting.__getitem__, default=None)


def recorded_preset(preset: str, config: Mapping[str, Any]) -> dict[str, Any] | None:
    """A preset as it is recorded; that of an algorithm for the environment of a config.

    None where that environment cannot be made, as of a suite that is not installed.
    """
    if preset in PRESETS:
        return recorded(PRESETS[preset][1])
    try:
        return recorded(config_for(preset, config["env_id"], config["env_kwargs"]))
    except ConfigError:
        return None


def spell(value: Any) -> list[str]:
    """A value as the words of a command line."""
    if isinstance(value, Mapping):
        return [str(word) for pair in value.items() for word in pair]
    if isinstance(value, bool):
        return [str(value).lower()]
    return [str(tuple(value)) if isinstance(value, list) else str(value)]


def fields_as_words(changes: Sequence[_Difference], without: Sequence[str] = ()) -> list[str]:
    """The fields as options, such as `--algo.lr 0.001`."""
    return [
        word
        for change in changes
        if change.field not in without
        for word in (f"--{change.field}", *spell(change.here))
    ]


def words_for(config: Mapping[str, Any], preset: str | None) -> list[str] | None:
    """The words after `vibe-rl train` that make exactly this recorded config.

    None where none do: they are parsed, and what comes out is compared.
    """
    base = None if preset is None else recorded_preset(preset, config)
    if preset is None or base is None:
        return None
    env = ["--env", str(config["env_id"])] if preset in FOR_ANY_ENV else []
    words = [preset, *env, *fields_as_words(differences(base, config))]
    try:
        same = not differences(recorded(cli(words)), recorded(from_dict(config)))
    except (ConfigError, TypeError):
        return None
    return words if same else None


def train_command(
    config: Mapping[str, Any], path: str, preset: str | None, seeds: Sequence[int] = ()
) -> str:
    """The command that trains a run again, or a group with these seeds.

    Args:
        config: as it was recorded first.
        path: of the run or the group, for where only its own file describes it.
        preset: see `nearest_preset`.
        seeds: of a group.
    """
    base = recorded_preset(preset, config) if seeds and preset is not None else None
    if base is not None:
        config = {**config, "runner": {**config["runner"], "seed": base["runner"]["seed"]}}
    words = words_for(config, preset)
    if words is not None:
        return shlex.join(["vibe-rl", "train", *words, *spell_seeds(seeds)])
    code = (
        "from vibe_rl.experiment import train; "
        "from vibe_rl.experiment.config_files import read_config; "
        f"train(read_config({path!r}){f', seeds={list(seeds)}' if seeds else ''})"
    )
    return shlex.join(["python", "-c", code])


def trainer_commands(manifests: Sequence[Mapping[str, Any]], path: str) -> list[str]:
    """The commands that made and resumed a `PPOTrainer`'s run; none of runs of another kind.

    Of one that a program made: the training of the agent that it began with, with its settings. A
    monitor that it was given has to be given again.
    """
    typed = [manifest.get("command", [])[1:] for manifest in manifests]
    words = [each for each in typed if each[:1] == ["ppo-cartpole"]]
    if words and words[0] == typed[0]:
        return [shlex.join(["vibe-rl", *map(str, each)]) for each in words]
    about = manifests[0].get("trainer") if manifests else None
    if about is None:
        return []
    how = {
        **about["settings"],
        "mlflow_experiment_name": about["arguments"]["mlflow_experiment_name"],
    }
    code = (
        "from vibe_rl.trainers import CartPoleWrapper, PPOAgent, PPOTrainer; "
        f"PPOTrainer(PPOAgent.load({f'{path}/artifacts/first_agent'!r}), "
        f"CartPoleWrapper(**{about['env']!r}), **{how!r}).train()"
    )
    return [shlex.join(["python", "-c", code])]


def spell_seeds(seeds: Sequence[int]) -> list[str]:
    """The option for these seeds, if there are any."""
    if not seeds:
        return []
    first, last = min(seeds), max(seeds)
    is_range = list(seeds) == list(range(first, last + 1))
    return ["--seeds", f"{first}:{last + 1}" if is_range else ",".join(map(str, seeds))]


def resume_commands(configs: Sequence[Mapping[str, Any]], path: str) -> list[str]:
    """The commands that resumed a run with a changed config, one for each change."""
    commands = []
    for before, after in pairwise(configs):
        words = fields_as_words(differences(before, after))
        commands.append(shlex.join(["vibe-rl", "train", "--resume", path, *words]))
    return commands
