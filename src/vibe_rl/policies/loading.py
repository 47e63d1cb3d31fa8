"""A policy as a function of observations: from a folder, a run directory, or MLflow's registry."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from vibe_rl.algorithms.base import Algorithm
from vibe_rl.checkpoint import spaces
from vibe_rl.errors import ConfigError, shown
from vibe_rl.experiment import load_run
from vibe_rl.policies import stablehlo
from vibe_rl.policies.describing import describe_policy
from vibe_rl.policies.folder import SAMPLED
from vibe_rl.policies.network import network_of
from vibe_rl.policies.numpy_runner import DESCRIPTION, Array, NumpyPolicy, PolicyError
from vibe_rl.policies.numpy_runner import load as load_numpy
from vibe_rl.policies.params import load_params
from vibe_rl.policies.registered import downloaded
from vibe_rl.policies.runs import about_run
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.plain import plain
from vibe_rl.spaces import Space
from vibe_rl.types import EitherKey, PyTree, typed_key

MODELS = "models:/"
OPERATIONS = ("operations", "inputs", "outputs", "files")
"""Of policy.json: what runs it."""
Sampler = Callable[..., Any]
"""From the arrays of a batch and a key's two words to actions."""


@dataclass(frozen=True)
class Policy:
    """Actions at observations; made by `load`, and bound to no environment.

    An observation is a member of `obs_space`, or a batch of them with a first axis: the shapes of
    the space say which it is. Of `Masked` spaces it is a `MaskedObs`. Actions are NumPy's.
    """

    obs_space: Space
    action_space: Space
    metadata: Mapping[str, Any] = field(repr=False)
    """What policy.json says: the algorithm, the run, versions, and how equal the formats are."""
    _numpy: NumpyPolicy = field(repr=False)
    _sampler: Callable[[], Sampler] | None = field(repr=False)

    def __call__(self, obs: PyTree) -> Array:
        """The best action at one observation, or the actions `[B, ...]` at a batch of them."""
        return self.outputs(obs)["action"]

    def outputs(self, obs: PyTree) -> dict[str, Array]:
        """The action and what it comes from: logits, values, or mean and log_std.

        Raises:
            ConfigError: the observation is none of `obs_space`.
        """
        with told_as_config_error():
            return self._numpy.outputs(obs)

    def sample(self, obs: PyTree, key: EitherKey) -> Array:
        """A random action of the policy, or a batch of them, of which example i has its own key.

        Raises:
            ConfigError: the policy draws nothing, as DQN's, or StableHLO was left out.
        """
        if self._sampler is None:
            why = "its folder has no StableHLO" if self.metadata["samples"] else "it draws nothing"
            raise ConfigError(f"this policy cannot be sampled, for {why}: call it instead.")
        with told_as_config_error():
            leaves, one = self._numpy.leaves(obs)
        words = np.asarray(jax.random.key_data(typed_key(key)))
        actions = np.asarray(self._sampler()(*leaves, words))
        return actions[0] if one else actions


def load(
    source: str | os.PathLike[str],
    *,
    best: bool = False,
    tracking_uri: str | None = None,
    obs_space: Space | None = None,
    action_space: Space | None = None,
) -> Policy:
    """A policy that was saved or exported.

    Args:
        source: a folder that `export` wrote, a run directory, a `params_N.npz`, or
            `models:/NAME@ALIAS` or `models:/NAME/VERSION` of MLflow's registry.
        best: of a run, takes the checkpoint with the best evaluation instead of the latest.
        tracking_uri: of the registry; None takes `MLFLOW_TRACKING_URI`, or `runs/mlflow.db`.
        obs_space: what is observed where the policy is to act; refused if it is not the policy's.
        action_space: the same of actions.

    Raises:
        ConfigError: there is no policy, its format is another, or its spaces are.
    """
    policy = _find(os.fspath(source), best, tracking_uri)
    check_space("observes", policy.obs_space, obs_space, source)
    check_space("acts in", policy.action_space, action_space, source)
    return policy


def _find(source: str, best: bool, tracking_uri: str | None) -> Policy:
    """The policy at an address, a run or a folder."""
    folder, registered = Path(source), source.startswith(MODELS)
    if not registered and (folder / "logs").is_dir():
        return load_from_run(folder, best)
    if best:
        raise ConfigError(f"best True: {source} is no run directory, leave it out.")
    if folder.suffix == ".npz":
        return load_from_params(folder)
    if registered:
        with downloaded(source, tracking_uri) as copied:
            return load_folder(copied)
    if (folder / DESCRIPTION).is_file():
        return load_folder(folder)
    raise ConfigError(
        f"{shown(source)} is no policy: name a folder with {DESCRIPTION} in it, a run directory, "
        "a params_N.npz, or models:/NAME@ALIAS."
    )


def load_folder(folder: Path) -> Policy:
    """The policy in a folder that `export` wrote."""
    with told_as_config_error():
        runner = load_numpy(folder)
    path = folder / SAMPLED
    program = path.read_bytes() if path.is_file() else None
    sampler = None if program is None else cache(partial(stablehlo.deserialise, program))
    return make_policy(runner, sampler)


def load_from_run(path: Path, best: bool) -> Policy:
    """The policy of a run's checkpoint, without any export."""
    run, agent_state, notes = load_run(path, best)
    algorithm, state = run.algorithm, stablehlo.on_one_device(agent_state)
    about = {"run": about_run(run, RunDir.open(path), notes, best)}
    return policy_of(algorithm, state, about)


def load_from_params(path: Path) -> Policy:
    """The policy of a file that was written with a checkpoint; see `load_params`."""
    algorithm, state, metadata = load_params(path)
    about = {key: metadata[key] for key in ("env_id", "env_kwargs", "step", "update", "seed")}
    return policy_of(algorithm, state, {"run": about})


def policy_of(algorithm: Algorithm, state: PyTree, about: Mapping[str, Any]) -> Policy:
    """The policy of an agent's state, and what else its metadata are to tell."""
    network = network_of(algorithm, state)
    description = plain(describe_policy(algorithm, state) | dict(about)) | network.description()
    program = stablehlo.sampled_program(algorithm, state)
    sampler = cache(partial(jax.jit, program)) if description["samples"] else None
    return make_policy(NumpyPolicy(description, network.params), sampler)


def make_policy(runner: NumpyPolicy, sampler: Callable[[], Sampler] | None) -> Policy:
    """The policy that this runs."""
    description = runner.description
    obs_space, action_space = (
        spaces.from_plain(description[f"{end}_space"]) for end in ("observation", "action")
    )
    metadata = {key: value for key, value in description.items() if key not in OPERATIONS}
    return Policy(obs_space, action_space, metadata, runner, sampler)


def check_space(does: str, here: Space, wanted: Space | None, source: Any) -> None:
    """Raises ConfigError if a policy is to act in another space than its own."""
    if wanted is not None and spaces.to_plain(here) != spaces.to_plain(wanted):
        raise ConfigError(
            f"the policy in {shown(source)} {does} {here}, not {wanted}: give it the spaces that "
            "it was trained in, with the same wrappers."
        )


@contextmanager
def told_as_config_error() -> Iterator[None]:
    """Raises what the NumPy runner refuses as the library's own error."""
    try:
        yield
    except PolicyError as error:
        raise ConfigError(str(error)) from error
