"""Writes a trained policy as a folder that needs no vibe_rl, each file compared with the policy."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from vibe_rl.algorithms.base import Algorithm
from vibe_rl.env.host import AnyEnvironment
from vibe_rl.errors import ConfigError, shown, unknown, writing
from vibe_rl.policies import numpy_runner, onnx, stablehlo
from vibe_rl.policies.checking import (
    OBSERVATIONS,
    TOLERANCE,
    Difference,
    Original,
    compare_outputs,
    compare_samples,
    original,
)
from vibe_rl.policies.describing import describe_env, describe_policy
from vibe_rl.policies.network import PolicyNetwork, network_of
from vibe_rl.policies.numpy_runner import DESCRIPTION, PARAMS, digest
from vibe_rl.policies.observations import observations
from vibe_rl.policies.parts import kind_of
from vibe_rl.run_dir.files import absolute
from vibe_rl.run_dir.plain import plain
from vibe_rl.system.folders import missing_folders, remove_empty
from vibe_rl.types import PyTree

RUNNER, ONNX_FILE = "policy.py", "policy.onnx"
GREEDY, SAMPLED = "greedy.stablehlo", "sampled.stablehlo"
FILES = (DESCRIPTION, PARAMS, RUNNER, ONNX_FILE, GREEDY, SAMPLED)
"""All that such a folder can hold."""
OPTIONAL = ("onnx", "stablehlo")
"""Formats that can be left out; NumPy's is always written."""


@dataclass(frozen=True)
class Draft:
    """A policy that is being written: what every format is made from and compared with."""

    algorithm: Algorithm
    state: PyTree  # on one device
    network: PolicyNetwork
    leaves: Sequence[np.ndarray]  # of the observations to compare on
    here: Original
    folder: Path

    def compared(self, what: str, found: Mapping[str, Any]) -> Difference:
        """How far what was written is from the policy; ConfigError if too far."""
        arrays = {name: np.asarray(x) for name, x in found.items()}
        return compare_outputs(what, self.algorithm, self.here, arrays)


def export(
    algorithm: Algorithm,
    agent_state: PyTree,
    env: AnyEnvironment,
    env_params: PyTree,
    path: str | os.PathLike[str],
    *,
    without: Sequence[str] = (),
    overwrite: bool = False,
    about: Mapping[str, Any] | None = None,
) -> Path:
    """Writes the policy as a folder: NumPy's files, ONNX and StableHLO.

    Every file is compared with the algorithm's own actions on 1,000 observations before the folder
    gets its name. Wrappers of `env` are not part of the policy; observation statistics are.

    Args:
        algorithm: PPO, DQN or SAC.
        agent_state: its state.
        env: where the observations to compare on come from, with all its wrappers.
        env_params: its constants, shared by all envs.
        path: of the folder.
        without: formats to leave out, `onnx` or `stablehlo`.
        overwrite: whether a policy that is there already is replaced.
        about: what else policy.json is to tell, such as the run and its figures.

    Returns:
        The folder.

    Raises:
        ConfigError: the folder exists, a package is not installed, the policy is of a kind that
            cannot be written, or what was written acts differently.
    """
    folder = absolute(path)
    check_formats(without)
    check_place(folder, overwrite)
    state = stablehlo.on_one_device(algorithm.portable(agent_state))
    network = network_of(algorithm, state)
    obs = observations(algorithm, state, env, env_params, OBSERVATIONS)
    here, leaves = original(algorithm, state, obs), jax.tree.leaves(obs)
    with new_folder(folder, overwrite) as draft_folder:
        draft = Draft(algorithm, state, network, leaves, here, draft_folder)
        write_all(draft, without, {"env": describe_env(env), **plain(dict(about or {}))})
    return folder


def check_formats(without: Sequence[str]) -> None:
    """Raises ConfigError for a format that does not exist, or whose package is not installed."""
    for name in without:
        if name not in OPTIONAL:
            raise unknown("format", name, OPTIONAL)
    needs = {"onnx": onnx.load_onnx, "stablehlo": stablehlo.exporter}
    for name in OPTIONAL:
        if name not in without:
            try:
                needs[name]()
            except ConfigError as error:
                raise ConfigError(f"{str(error).rstrip('.')}, or leave {name} out.") from error


def check_place(folder: Path, overwrite: bool) -> None:
    """Raises ConfigError if something is there that must not be replaced."""
    if not folder.exists():
        return
    is_policy = (folder / DESCRIPTION).is_file()
    if not overwrite or not is_policy:
        remedy = "replace it by overwrite, or name" if is_policy else "it is no policy, name"
        raise ConfigError(f"{shown(folder)} exists: {remedy} another place.")


@contextmanager
def new_folder(folder: Path, overwrite: bool) -> Iterator[Path]:
    """A hidden folder that gets the name `folder` when the block ends, or is removed.

    What has that name is only replaced where `overwrite` says so.
    """
    draft, old = (folder.with_name(f".{folder.name}.{os.getpid()}{end}") for end in ("", ".old"))
    made = missing_folders(folder.parent)
    try:
        with writing(folder):
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(parents=True)
            yield draft
            if overwrite and folder.exists():
                folder.rename(old)
            draft.rename(folder)
            shutil.rmtree(old, ignore_errors=True)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        if old.exists() and not folder.exists():
            old.rename(folder)
        remove_empty(made)
        raise


def write_all(draft: Draft, without: Sequence[str], about: Mapping[str, Any]) -> None:
    """Writes and compares every format, and the description last."""
    differences = write_numpy(draft)
    if "onnx" not in without:
        differences |= write_onnx(draft)
    if "stablehlo" not in without:
        differences |= write_stablehlo(draft)
    files = {path.name: digest(path) for path in sorted(draft.folder.iterdir())}
    description = describe_policy(draft.algorithm, draft.state) | {
        **about,
        "check": {
            "observations": len(draft.leaves[0]),
            "tolerance": TOLERANCE,
            "largest_difference": {name: x.numbers for name, x in differences.items()},
            "different_choices": {name: x.actions for name, x in differences.items()},
        },
        "files": files,
        **draft.network.description(),
    }
    text = json.dumps(plain(description), indent=1, allow_nan=False)
    (draft.folder / DESCRIPTION).write_text(f"{text}\n", encoding="utf-8")


def write_numpy(draft: Draft) -> dict[str, Difference]:
    """Writes the parameters and the runner; runs what was written."""
    path = draft.folder / PARAMS
    np.savez(path, **draft.network.params)  # type: ignore[arg-type]
    shutil.copyfile(numpy_runner.__file__, draft.folder / RUNNER)
    with np.load(path, allow_pickle=False) as params:
        policy = numpy_runner.NumpyPolicy(draft.network.policy().description, dict(params))
    return {"numpy": draft.compared("the NumPy policy", policy.run(draft.leaves))}


def write_onnx(draft: Draft) -> dict[str, Difference]:
    """Writes the ONNX model; runs what was written."""
    path = draft.folder / ONNX_FILE
    path.write_bytes(onnx.to_onnx(draft.network).SerializeToString())
    names = [spec["name"] for spec in draft.network.inputs]
    found = onnx.run_onnx(
        path, dict(zip(names, draft.leaves, strict=True)), list(draft.network.outputs)
    )
    return {"onnx": draft.compared("the ONNX model", found)}


def write_stablehlo(draft: Draft) -> dict[str, Difference]:
    """Writes the greedy and, if the policy is random, the sampled program; runs them."""
    algorithm, inputs = draft.algorithm, draft.network.inputs
    greedy = stablehlo.serialise(
        stablehlo.greedy_program(algorithm, draft.state), inputs, samples=False
    )
    (draft.folder / GREEDY).write_bytes(greedy)
    actions = stablehlo.deserialise(greedy)(*draft.leaves)
    differences = {GREEDY: draft.compared("the StableHLO program", {"action": actions})}
    if kind_of(algorithm).samples:
        program = stablehlo.sampled_program(algorithm, draft.state)
        sampled = stablehlo.serialise(program, inputs, samples=True)
        (draft.folder / SAMPLED).write_bytes(sampled)
        arguments = [*draft.leaves, np.array([0, 1], np.uint32)]
        written = stablehlo.deserialise(sampled)
        differences[SAMPLED] = compare_samples(program, written, arguments)
    return differences
