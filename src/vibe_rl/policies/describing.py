"""What policy.json tells a reader of the policy and of where it comes from."""

from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from vibe_rl.algorithms.base import Algorithm
from vibe_rl.checkpoint import spaces
from vibe_rl.env.host import AnyEnvironment
from vibe_rl.env.precision import SinglePrecisionWrapper
from vibe_rl.env.wrappers import AutoResetWrapper, EpisodeStatisticsWrapper, layers
from vibe_rl.networks import in_words
from vibe_rl.policies import onnx, stablehlo
from vibe_rl.policies.network import CLIP
from vibe_rl.policies.numpy_runner import FORMAT
from vibe_rl.policies.parts import kind_of
from vibe_rl.run_dir.manifest import versions
from vibe_rl.run_dir.plain import plain
from vibe_rl.spaces import Masked
from vibe_rl.types import PyTree, static_fields

ARCHITECTURE = (
    *("hidden_sizes", "activation", "conv_layers", "encoder", "cell_width"),
    *("shared_backbone", "squash"),
    *("dueling", "log_std_min", "log_std_max"),
)
"""Settings, of which each algorithm has some."""
OF_TRAINING = (AutoResetWrapper, EpisodeStatisticsWrapper, SinglePrecisionWrapper)
"""Wrappers that change no observation."""


def describe_policy(algorithm: Algorithm, state: PyTree) -> dict[str, Any]:
    """What a policy is, apart from its operations."""
    kind = kind_of(algorithm)
    statistics = kind.parts(algorithm, state).statistics
    return {
        "format": FORMAT,
        "algorithm": type(algorithm).__name__,
        "observation_space": spaces.to_plain(algorithm.obs_space),
        "action_space": spaces.to_plain(algorithm.action_space),
        "architecture": architecture(algorithm),
        "normalisation": None if statistics is None else {"clip": CLIP},
        "masks": isinstance(algorithm.obs_space, Masked),
        "samples": kind.samples,
        "versions": {**versions(), "onnx": _installed("onnx")},
        "onnx_opset": onnx.OPSET,
        "matmul_precision": stablehlo.PRECISION,
        "stablehlo_platforms": list(stablehlo.PLATFORMS),
    }


def architecture(algorithm: Algorithm) -> dict[str, Any]:
    """What the networks see, and the settings that say how they are built."""
    config = static_fields(algorithm.config)
    settings = {name: config[name] for name in ARCHITECTURE if name in config}
    return {"sees": in_words.describe_network(algorithm.obs_space), **plain(settings)}


def describe_env(env: AnyEnvironment) -> dict[str, Any]:
    """Which env the policy was written for, and what stands between that and the policy."""
    *wrappers, inner = layers(env)
    names = [type(layer).__name__ for layer in wrappers if not isinstance(layer, OF_TRAINING)]
    return {
        "name": getattr(inner, "env_id", type(inner).__name__),
        "wrappers": names,
        "wrappers_are_inside": False,
    }


def _installed(package: str) -> str | None:
    """The version of a package; None if it is not there."""
    with suppress(PackageNotFoundError):
        return version(package)
    return None
