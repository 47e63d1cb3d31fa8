"""Hydra over the tree: words are checked, and composed; sweeps are launched. No folder is made and
the working directory stays.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from vibe_rl.errors import ConfigError, NonFiniteLossError, reason, unknown
from vibe_rl.extras import require
from vibe_rl.trainers.driving.groups import DEFAULTS, Node, groups, top
from vibe_rl.trainers.driving.keys import check_key
from vibe_rl.trainers.driving.trials import in_trial

CONFIG = "driving"
"""The name of the tree in Hydra's store."""
NEEDS = "driving", "Hydra's settings"
"""The extra, and what needs it."""

Groups = Mapping[str, Mapping[str, Node]]
"""By the names of groups, their options."""


class Composition(NamedTuple):
    """The tree that some words make."""

    values: dict[str, Any]
    choices: dict[str, str]  # the option of each group
    words: tuple[str, ...]  # as given


def store_tree() -> None:
    """Puts the tree into Hydra's store."""
    require("hydra", *NEEDS)
    from hydra.core.config_store import ConfigStore  # noqa: PLC0415 - an extra

    store = ConfigStore.instance()
    for group, options in groups().items():
        for name, node in options.items():
            store.store(name=name, node=node, group=group, package="_global_")
    quiet = {"run": {"dir": "."}, "sweep": {"dir": ".", "subdir": "."}, "output_subdir": None}
    chosen = [{"override hydra/job_logging": "none"}, {"override hydra/hydra_logging": "none"}]
    defaults = ["_self_", *({group: name} for group, name in DEFAULTS.items()), *chosen]
    quiet["job"] = {"chdir": False}
    store.store(name=CONFIG, node={"defaults": defaults, **top(), "hydra": quiet})


@contextmanager
def hydra(config_dir: str | None = None) -> Iterator[Any]:
    """Hydra with the tree, and the user's own options in a folder, if there is one.

    Raises:
        ConfigError: Hydra refuses something.
    """
    store_tree()
    from hydra import initialize, initialize_config_dir  # noqa: PLC0415 - an extra
    from hydra.core.global_hydra import GlobalHydra  # noqa: PLC0415
    from hydra.errors import HydraException  # noqa: PLC0415
    from omegaconf.errors import OmegaConfBaseException  # noqa: PLC0415

    where: dict[str, Any] = {"version_base": "1.3", "job_name": CONFIG}
    if config_dir is not None and not Path(config_dir).is_dir():
        raise ConfigError(f"--config-dir {config_dir}: there is no such folder.")
    opened = (
        initialize(config_path=None, **where)
        if config_dir is None
        else initialize_config_dir(config_dir=str(Path(config_dir).absolute()), **where)
    )
    try:
        with opened:
            yield GlobalHydra.instance().hydra
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(
            f"{reason(error).rstrip('.')}: see vibe-rl driving train --help."
        ) from error


def compose(words: Sequence[str], config_dir: str | None = None) -> Composition:
    """The tree that overrides such as `seed=1 algorithm=ppo` make.

    Args:
        words: Hydra's overrides, without sweeps.
        config_dir: a folder with options of the user's own, such as `algorithm/mine.yaml`.

    Raises:
        ConfigError: there is no such key or option, or a word cannot be read.
    """
    with hydra(config_dir) as app:
        given = with_files(words)
        check_words(app, given, sweeps=False)
        return composition_of(app.compose_config(CONFIG, given, run_mode(multirun=False)))


def sweep_words(
    words: Sequence[str], train: Callable[[Composition], Any], config_dir: str | None = None
) -> None:
    """Calls `train` for every combination of values, or for those that another sweeper chooses.

    Args:
        words: Hydra's overrides, such as `seed=1,2`.
        train: trains one; what a sweeper maximizes, if it does.
        config_dir: see `compose`.

    Raises:
        ConfigError: there is no such key or option, a word cannot be read, or a run cannot work.
    """
    with hydra(config_dir) as app, TemporaryDirectory() as folder:
        given = with_files(words)
        check_words(app, given, sweeps=True)
        places = [f"hydra.sweep.dir={folder}", "hydra.sweep.subdir=."]

        failed: list[Exception] = []
        app.multirun(CONFIG, partial(run_one, train, failed), [*given, *places])
    if failed:
        raise failed[0]


def run_one(train: Callable[[Composition], Any], failed: list[Exception], tree: Any) -> Any:
    """One run of several: what it returns, or its error, which Hydra would print beside ours."""
    from hydra.core.hydra_config import HydraConfig  # noqa: PLC0415 - an extra

    try:
        return train(composition(tree, HydraConfig.get()))
    except (ConfigError, NonFiniteLossError) as error:
        if not in_trial():
            failed.append(error)
        return error


def with_files(words: Sequence[str]) -> list[str]:
    """The words; path_dataset alone says that scenarios are files."""
    names = {word.partition("=")[0] for word in words}
    chosen = "path_dataset" in names and "scenarios" not in names
    return [*words, "scenarios=files"] if chosen else list(words)


def run_mode(multirun: bool) -> Any:
    """Hydra's word for whether there are several runs."""
    from hydra.types import RunMode  # noqa: PLC0415 - an extra

    return RunMode.MULTIRUN if multirun else RunMode.RUN


def composition_of(config: Any) -> Composition:
    """What Hydra has composed, its own settings apart."""
    from omegaconf import open_dict  # noqa: PLC0415 - an extra

    tree = config.copy()
    with open_dict(tree):
        own = tree.pop("hydra")
    return composition(tree, own)


def composition(tree: Any, own: Any) -> Composition:
    """The tree, and which options and words made it, as Hydra's own settings tell."""
    from omegaconf import OmegaConf  # noqa: PLC0415 - an extra

    choices = {k: v for k, v in own.runtime.choices.items() if not k.startswith("hydra/")}
    values: Any = OmegaConf.to_container(tree, resolve=True)
    return Composition(values, choices, tuple(own.overrides.task))


def check_words(app: Any, words: Sequence[str], *, sweeps: bool) -> None:
    """Raises ConfigError for a word whose key or option does not exist, before Hydra sees it."""
    overrides = parsed(app, words)
    for override in overrides:
        check_override(override, sweeps)
    known = groups()
    chosen = {o.key_or_group: options_of(o) for o in overrides if o.key_or_group in known}
    for group, names in chosen.items():
        there = app.config_loader.get_group_options(group)
        for name in set(names).difference(there):
            raise unknown(f"option of {group}", name, there)
    keys = set(known) | keys_of(app, known, chosen)
    for override in overrides:
        check_known(override.key_or_group, keys)
    check_hydras(app, [o for o in overrides if is_of_hydra(o.key_or_group)])


def check_override(override: Any, sweeps: bool) -> None:
    """Raises ConfigError for a word that adds or deletes, has several values, or is refused."""
    word, is_hydras = override.input_line, is_of_hydra(override.key_or_group)
    if not is_hydras and (override.is_delete() or override.is_add() or override.is_force_add()):
        raise ConfigError(f"{word}: keys are given as NAME=VALUE, leave out ~ and +.")
    if not is_hydras and override.is_sweep_override() and not sweeps:
        raise ConfigError(f"{word} are several values: give -m for a run of each.")
    check_key(override.key_or_group)


def is_of_hydra(name: str) -> bool:
    """Whether a key is a setting of Hydra's own."""
    return name.startswith(("hydra.", "hydra/"))


def check_hydras(app: Any, overrides: Sequence[Any]) -> None:
    """Raises ConfigError for a setting of Hydra's own that does not exist; names the nearest."""
    from omegaconf import OmegaConf  # noqa: PLC0415 - an extra

    of_groups = [o for o in overrides if "/" in o.key_or_group]
    for override in of_groups:
        there = app.config_loader.get_group_options(override.key_or_group)
        for name in set(options_of(override)).difference(there):
            raise unknown(f"option of {override.key_or_group}", name, there)
    words = [override.input_line for override in of_groups]
    tree = app.compose_config(CONFIG, words, run_mode(multirun=True))
    own: Any = OmegaConf.to_container(tree.hydra, resolve=False)
    keys = set(dotted(own, "hydra."))
    for name in {o.key_or_group for o in overrides if o not in of_groups and not o.is_add()}:
        if name not in keys:
            raise unknown("key", name, keys)


def check_known(name: str, keys: Iterable[str]) -> None:
    """Raises ConfigError for a key that does not exist; names the nearest of its section."""
    if name in keys or is_of_hydra(name):
        return
    section = name.rpartition(".")[0]
    near = [key for key in keys if key.rpartition(".")[0] == section]
    raise unknown("key", name, near if section and near else keys)


def parsed(app: Any, words: Sequence[str]) -> list[Any]:
    """The overrides; ConfigError for a word that is none."""
    from hydra.core.override_parser.overrides_parser import (  # noqa: PLC0415 - an extra
        OverridesParser,
    )
    from hydra.errors import HydraException  # noqa: PLC0415

    parser = OverridesParser.create(config_loader=app.config_loader)
    found = []
    for word in words:
        try:
            found += parser.parse_overrides([word])
        except HydraException as error:
            raise ConfigError(
                f"{word!r} is no override: give NAME=VALUE, such as seed=1."
            ) from error
    return found


def options_of(override: Any) -> list[str]:
    """The options that a word chooses: one, or those of a sweep."""
    if override.is_sweep_override():
        return [str(value) for value in override.sweep_string_iterator()]
    return [str(override.value())]


def keys_of(app: Any, known: Groups, chosen: Mapping[str, Sequence[str]]) -> set[str]:
    """All keys of the tree with some options chosen, dotted, and its sections.

    Args:
        app: Hydra, which composes options of the user's own.
        known: the groups of the tree.
        chosen: the options of groups that are not as at first.
    """
    keys = set(dotted(top()))
    options = {group: [name] for group, name in DEFAULTS.items()} | dict(chosen)
    for group, names in options.items():
        for name in names:
            node = known[group].get(name)
            if node is None:
                config = app.compose_config(CONFIG, [f"{group}={name}"], run_mode(multirun=False))
                keys |= set(dotted(composition_of(config).values))
            else:
                keys |= set(dotted(node))
    return keys


def dotted(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The dotted names of a tree's leaves and sections."""
    for name, value in values.items():
        yield f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from dotted(value, f"{prefix}{name}.")
