"""An agent from a file `params_N.npz`: how its networks are built follows from their shapes."""

import json
import os
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vibe_rl.algorithms.base import Algorithm, Setup
from vibe_rl.checkpoint import spaces
from vibe_rl.checkpoint.leaves import unwrap_key, wrap_key
from vibe_rl.configs.train_config import ALGORITHMS, tuples
from vibe_rl.errors import ConfigError, reason, shown, unknown
from vibe_rl.runner.params_files import FORMAT, METADATA, acts, leaves_by_name
from vibe_rl.spaces import Space
from vibe_rl.types import PyTree

DENSE = re.compile(r"(.*)\.mlp\.layers\.(\d+)\.bias")
"""The names of the arrays whose lengths are the widths of the dense layers."""

SETUP = Setup(
    total_timesteps=1, num_envs=1, n_devices=1, buffer_size=1, warmup_steps=0, replay_on="device"
)
"""Of an agent that only acts."""


class SavedAgent(NamedTuple):
    """What a file of parameters holds: enough to act, not to train on."""

    algorithm: Algorithm
    agent_state: PyTree  # `algorithm.greedy` and `value` take it; the optimiser's part is zero
    metadata: Mapping[str, Any]
    """Among others `env_id`, `env_kwargs`, `step`, `update` and `seed`."""


def load_params(
    path: str | os.PathLike[str],
    *,
    hidden_dim: int | None = None,
    num_layers: int | None = None,
    obs_space: Space | None = None,
) -> SavedAgent:
    """The agent of a file `params_N.npz`.

    Args:
        path: the file.
        hidden_dim: width of all dense layers, instead of what the shapes say.
        num_layers: number of dense layers, instead of what the shapes say.
        obs_space: what is observed where the agent is to act; refused if it is not the agent's.

    Raises:
        ConfigError: it is no such file, its arrays do not fit the layers that are asked for, or it
            observes something else.
    """
    path = Path(path)
    arrays, metadata = _read(path)
    here, actions = (
        spaces.from_plain(metadata[f"{end}_space"]) for end in ("observation", "action")
    )
    check_observes(path, here, obs_space)
    config_class, kind = ALGORITHMS[metadata["algorithm"]]
    given = {name: tuples(value) for name, value in metadata["config"].items()}
    sizes = hidden_sizes(arrays, given["hidden_sizes"], hidden_dim, num_layers)
    config = config_class(**given | {"hidden_sizes": sizes})
    algorithm = kind.from_config(config, here, actions, SETUP._replace(num_envs=config.num_envs))
    return SavedAgent(algorithm, filled(path, algorithm, arrays), metadata)


def _read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays of a file, and its metadata."""
    try:
        with path.open("rb") as source, np.load(source, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        metadata = json.loads(str(arrays.pop(METADATA)))
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise ConfigError(
            f"{shown(path)} holds no parameters of an agent ({reason(error)}): name a params_N.npz "
            "of a run."
        ) from error
    check_metadata(path, metadata)
    return arrays, metadata


def check_metadata(path: Path, metadata: Mapping[str, Any]) -> None:
    """Raises ConfigError if a file is of a newer version, or of an unknown algorithm."""
    if metadata["format"] > FORMAT:
        raise ConfigError(
            f"{shown(path)} has format {metadata['format']}, and this version reads up to "
            f"{FORMAT}: install a newer vibe_rl."
        )
    if metadata["algorithm"] not in ALGORITHMS:
        raise unknown("algorithm", metadata["algorithm"], ALGORITHMS)


def check_observes(path: Path, here: Space, wanted: Space | None) -> None:
    """Raises ConfigError if an agent would see something else than it learned from."""
    if wanted is not None and spaces.to_plain(here) != spaces.to_plain(wanted):
        raise ConfigError(
            f"the agent in {shown(path)} observes {here}, and this environment shows {wanted}: "
            "give it the environment that it was trained in, or train it anew."
        )


def hidden_sizes(
    arrays: Mapping[str, np.ndarray],
    recorded: tuple[int, ...],
    hidden_dim: int | None,
    num_layers: int | None,
) -> tuple[int, ...]:
    """The widths of the dense layers: those of the arrays, unless others are given."""
    found: dict[str, dict[int, int]] = {}
    for name, array in arrays.items():
        match = DENSE.fullmatch(name)
        if match:
            found.setdefault(match[1], {})[int(match[2])] = array.shape[0]
    first = next(iter(found.values()), {})
    sizes = tuple(first[i] for i in sorted(first)) or recorded
    if num_layers is not None:
        sizes = tuple(sizes[i] if i < len(sizes) else sizes[-1] for i in range(num_layers))
    return sizes if hidden_dim is None else (hidden_dim,) * len(sizes)


def filled(path: Path, algorithm: Algorithm, arrays: Mapping[str, np.ndarray]) -> PyTree:
    """The agent's state with these arrays; what acting does not need is zero.

    Raises:
        ConfigError: the arrays are not those of such an agent.
    """
    like = algorithm.portable(jax.eval_shape(algorithm.init, jax.random.key(0)))
    wanted = leaves_by_name(like)
    for name in sorted({name for name in wanted if acts(algorithm, name)} | set(arrays)):
        has = f"{list(arrays[name].shape)}" if name in arrays else "nothing"
        needs = f"{list(wanted[name].shape)}" if name in wanted else "nothing"
        if has != needs:
            raise ConfigError(
                f"{shown(path)} has {has} at {name}, where these layers need {needs}: leave "
                "hidden_dim and num_layers out, or give the file's."
            )
    leaves = [
        jnp.asarray(arrays[name], leaf.dtype) if name in arrays else zero(leaf)
        for name, leaf in wanted.items()
    ]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def zero(leaf: jax.ShapeDtypeStruct) -> jax.Array:
    """An array of a shape, or of random keys, with nothing in it."""
    plain = unwrap_key(leaf)
    return wrap_key(leaf, jnp.zeros(plain.shape, plain.dtype))
