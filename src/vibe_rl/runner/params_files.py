"""`params_N.npz`: what an agent acts with, as arrays by name, written with each checkpoint.

N counts updates. NumPy reads such a file without running code; what it cannot say by shapes, such
as the spaces, is in `metadata`, as JSON. `vibe_rl.policies.load_params` makes an agent of it.
"""

import dataclasses
import json
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from vibe_rl.algorithms.base import Algorithm
from vibe_rl.checkpoint import spaces
from vibe_rl.errors import ConfigError
from vibe_rl.run_dir.files import write_atomically
from vibe_rl.run_dir.manifest import versions
from vibe_rl.run_dir.plain import plain
from vibe_rl.runner.loop import TrainState
from vibe_rl.runner.run import Run
from vibe_rl.system.processes import run_on_first
from vibe_rl.types import PyTree

FORMAT = 1
METADATA = "metadata"


@dataclass
class ParamsWriter:
    """Writes the files of a run.

    Raises:
        ConfigError: its spaces cannot be written down, or its parameters are split over processes.
    """

    folder: Path
    run: Run
    about: dict[str, Any] = field(init=False)

    def __post_init__(self):
        if jax.process_count() > 1 and self.run.config.fsdp_devices > 1:
            raise ConfigError(
                "runner.save_params True: several processes hold parts of the parameters, leave it "
                "out or give runner.fsdp_devices 1."
            )
        self.about = _describe(self.run)

    def __call__(self, update: int, state: TrainState) -> Path:
        """Writes the agent of an update, whole or not at all; the file."""
        step = update * self.run.steps_per_update
        text = json.dumps(self.about | {"step": step, "update": update}, allow_nan=False)
        arrays = acting_arrays(self.run.algorithm, state.agent_state)
        path = self.folder / f"params_{update}.npz"
        run_on_first(partial(write_arrays, path, arrays | {METADATA: np.array(text)}))
        return path


def _describe(run: Run) -> dict[str, Any]:
    """What a file says of the agent, apart from when it was saved."""
    algorithm = run.algorithm
    return plain(
        {
            "format": FORMAT,
            "algorithm": type(algorithm).__name__.lower(),
            "config": dataclasses.asdict(algorithm.config),
            "observation_space": spaces.to_plain(algorithm.obs_space),
            "action_space": spaces.to_plain(algorithm.action_space),
            "env_id": run.description["env_id"],
            "env_kwargs": run.description["env_kwargs"],
            "seed": run.config.seed,
            "versions": versions(),
        }
    )


def acting_arrays(algorithm: Algorithm, agent_state: PyTree) -> dict[str, np.ndarray]:
    """The arrays that acting needs, by where they are, such as `params.actor.mlp.layers.0.bias`."""
    named = leaves_by_name(algorithm.portable(agent_state))
    return {name: np.asarray(leaf) for name, leaf in named.items() if acts(algorithm, name)}


def leaves_by_name(tree: PyTree) -> dict[str, Any]:
    """The leaves by their dotted names."""
    named = partial(jax.tree_util.keystr, simple=True, separator=".")
    return {named(path): leaf for path, leaf in jax.tree.leaves_with_path(tree)}


def acts(algorithm: Algorithm, name: str) -> bool:
    """Whether acting needs the leaf of the state that has this name."""
    return any(f"{name}.".startswith(f"{part}.") for part in algorithm.acts_with)


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes a file that `np.load` reads without pickle."""
    with write_atomically(path) as file:
        np.savez(file, allow_pickle=False, **arrays)
