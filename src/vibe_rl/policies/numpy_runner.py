"""A trained policy that needs NumPy and nothing else, beside its `policy.json` and `params.npz`.

    from policy import load

    policy = load()         # the folder that this file is in, or load(folder)
    action = policy(obs)    # one observation, or a batch of them: the space says which it is

An observation is an array, a dictionary of arrays, or `(view, legal)` where actions are masked.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

FORMAT = 1
"""Of policy.json; other numbers are refused."""
DESCRIPTION, PARAMS = "policy.json", "params.npz"
AT_ONCE = 64
"""Pictures that are unfolded at once for a convolution, so that memory stays small."""
MASKED = ("view", "legal")


Array = np.ndarray | np.generic
"""An array, or a single number of NumPy's."""


class PolicyError(ValueError):
    """A policy or an observation that cannot be used: says why, and the remedy."""


class NumpyPolicy:
    """Greedy actions of a policy, from its description and its parameters by name."""

    def __init__(self, description: Mapping[str, Any], params: Mapping[str, np.ndarray]):
        check_format(description)
        self.description, self.params = description, dict(params)

    def __call__(self, obs: Any) -> Array:
        """The best action at one observation, or the actions `[B, ...]` at a batch of them."""
        return self.outputs(obs)["action"]

    def outputs(self, obs: Any) -> dict[str, Array]:
        """The action and what it comes from: logits, values, or mean and log_std.

        Raises:
            PolicyError: the observation is none of the policy's space.
        """
        leaves, one = self.leaves(obs)
        found = self.run(leaves)
        return {name: x[0] if one else x for name, x in found.items()}

    def leaves(self, obs: Any) -> tuple[list[np.ndarray], bool]:
        """The arrays of a batch in the order of the description's inputs; whether it was one."""
        inputs = self.description["inputs"]
        leaves = [leaf(obs, spec) for spec in inputs]
        extra = {x.ndim - len(spec["shape"]) for x, spec in zip(leaves, inputs, strict=True)}
        if extra == {0}:
            return [x[None] for x in leaves], True
        if extra == {1} and len({len(x) for x in leaves}) == 1:
            return leaves, False
        raise PolicyError(
            f"arrays of shapes {[x.shape for x in leaves]}: give one observation of shapes "
            f"{[tuple(spec['shape']) for spec in inputs]}, or a batch of them with a first axis."
        )

    def run(self, leaves: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """The outputs at a batch, whose arrays are in the order of the description's inputs."""
        specs = self.description["inputs"]
        values = {spec["name"]: x for spec, x in zip(specs, leaves, strict=True)}
        for step in self.description["operations"]:
            given = [values[name] for name in step["inputs"]]
            named = {key: self.params[name] for key, name in step["params"].items()}
            function = OPERATIONS[step["operation"]]
            values[step["output"]] = function(*given, **named, **step["attributes"])
        return {name: values[x] for name, x in self.description["outputs"].items()}


def load(folder: Any = None) -> NumpyPolicy:
    """The policy in a folder, by default in that of this file.

    Raises:
        PolicyError: there is none, it is of another format, or its files do not belong together.
    """
    folder = Path(__file__).parent if folder is None else Path(folder)
    description = read_description(folder)
    with np.load(check_file(folder, description, PARAMS), allow_pickle=False) as params:
        return NumpyPolicy(description, dict(params))


def read_description(folder: Path) -> dict[str, Any]:
    """What policy.json says; PolicyError if there is none or it is of another format."""
    path = folder / DESCRIPTION
    if not path.is_file():
        raise PolicyError(f"{folder} holds no policy: name a folder with {DESCRIPTION} in it.")
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise PolicyError(f"{path} is not valid JSON: copy the folder anew.") from error
    check_format(description)
    return description


def check_format(description: Any) -> None:
    """Raises PolicyError unless it is a description of this format."""
    found = description.get("format") if isinstance(description, Mapping) else None
    if found != FORMAT:
        raise PolicyError(
            f"the policy has format {found} and this version reads {FORMAT}: use the version that "
            "wrote it, or export it anew."
        )


def check_file(folder: Path, description: Mapping[str, Any], name: str) -> Path:
    """The path of a file; PolicyError unless the description was written with it."""
    path = folder / name
    if not path.is_file() or digest(path) != description["files"].get(name):
        raise PolicyError(f"{path} is not the file of its {DESCRIPTION}: copy the folder anew.")
    return path


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def leaf(obs: Any, spec: Mapping[str, Any]) -> np.ndarray:
    """One array of an observation, of the type and, but for a batch's axis, the shape wanted."""
    for key in spec["path"]:
        obs = entry(obs, key)
    x = np.asarray(obs)
    wanted, shape = np.dtype(spec["dtype"]), tuple(spec["shape"])
    if x.shape[max(x.ndim - len(shape), 0) :] != shape or x.ndim > len(shape) + 1:
        raise PolicyError(f"{spec['name']} of shape {x.shape}: give {shape}, or a batch of it.")
    if not (x.dtype == wanted or np.can_cast(x.dtype, wanted, "same_kind")):
        raise PolicyError(f"{spec['name']} of type {x.dtype}: give {wanted}.")
    return x.astype(wanted)


def entry(obs: Any, key: str) -> Any:
    """The part of an observation that has this name."""
    if isinstance(obs, tuple) and len(obs) == len(MASKED) and key in MASKED:
        return obs[MASKED.index(key)]
    if not isinstance(obs, Mapping) or key not in obs:
        what = "the tuple (view, legal)" if key in MASKED else f"a dictionary that has {key!r}"
        raise PolicyError(f"an observation that is a {type(obs).__name__}: give {what}.")
    return obs[key]


def cast(x: np.ndarray, dtype: str) -> np.ndarray:
    """Another type."""
    with np.errstate(invalid="ignore"):  # of NaN, as anywhere else
        return x.astype(np.dtype(dtype))


def reshape(x: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Another shape, but for the batch's axis."""
    return x.reshape(len(x), *shape)


def transpose(x: np.ndarray, axes: Sequence[int]) -> np.ndarray:
    """The axes in another order; 1 is the first after the batch's."""
    return x.transpose(0, *axes)


def divide(x: np.ndarray, by: float) -> np.ndarray:
    """A quotient."""
    return x / np.float32(by)


def standardise(x: np.ndarray, mean: np.ndarray, scale: np.ndarray, clip: float) -> np.ndarray:
    """In standard deviations from the mean, clipped; `scale` is one over the deviation."""
    return np.clip((x - mean) * scale, np.float32(-clip), np.float32(clip))


def one_hot(x: np.ndarray, counts: Sequence[int]) -> np.ndarray:
    """Choices `[B, K]` as ones and zeros, one choice after another."""
    which, value = (
        np.repeat(np.arange(len(counts)), counts),
        np.concatenate([np.arange(n) for n in counts]),
    )
    return (x[:, which].astype(np.int64) == value).astype(np.float32)


def concatenate(*parts: np.ndarray) -> np.ndarray:
    """Vectors end to end."""
    return np.concatenate(parts, axis=1)


def convolve(x: np.ndarray, kernel: np.ndarray, stride: int) -> np.ndarray:
    """A convolution without padding; pictures `[B, H, W, C]`, kernel `[k, k, C, out]`."""
    sides, parts = kernel.shape[:2], []
    for begin in range(0, max(len(x), 1), AT_ONCE):
        some = x[begin : begin + AT_ONCE]
        windows = np.lib.stride_tricks.sliding_window_view(some, sides, axis=(1, 2))  # type: ignore[call-overload]
        parts.append(np.tensordot(windows[:, ::stride, ::stride], kernel, ((4, 5, 3), (0, 1, 2))))
    return np.concatenate(parts)


def pad(x: np.ndarray, by: int) -> np.ndarray:
    """A picture `[B, H, W, C]` with zeros around it."""
    return np.pad(x, ((0, 0), (by, by), (by, by), (0, 0)))


def viewer_cell(x: np.ndarray, rows: int, columns: int, row: int, column: int) -> np.ndarray:
    """The cell `[B]` where a board's viewer stands, of the entries that say its row and column."""
    places = [(row, rows - 1), (column, columns - 1)]
    at, beside = (np.clip(np.round(x[:, i] * np.float32(n)), 0, n) for i, n in places)
    return (at * np.float32(columns) + beside).astype(np.int64)


def look_up(index: np.ndarray, table: np.ndarray) -> np.ndarray:
    """An entry of a table for every example."""
    return table[index]


def rearrange(cells: np.ndarray, index: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Cells `[B, n, C]` in the order, or with the repetitions, of an entry of a table."""
    return np.take_along_axis(cells, table[index].astype(np.int64)[:, :, None], 1)


def add_outside(cells: np.ndarray) -> np.ndarray:
    """Cells `[B, n, C]` with a one more each, and after them a cell of zeros."""
    return np.pad(
        np.pad(cells, ((0, 0), (0, 0), (0, 1)), constant_values=1), ((0, 0), (0, 1), (0, 0))
    )


def add(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A sum."""
    return x + y


def dense_cells(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """x W + b of every cell `[B, n, C]`."""
    return x @ weight + bias


def activate(x: np.ndarray, kind: str) -> np.ndarray:
    """An activation by its name."""
    return ACTIVATIONS[kind](x)


def dense(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """x W + b."""
    return x @ weight + bias


def part(x: np.ndarray, begin: int, end: int) -> np.ndarray:
    """Some of the columns."""
    return x[:, begin:end]


def clip(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """Between two bounds."""
    return np.clip(x, np.float32(low), np.float32(high))


def join_streams(value: np.ndarray, advantage: np.ndarray) -> np.ndarray:
    """Of a duelling network: the value, and how far each advantage is from their mean."""
    return value + advantage - advantage.mean(1, keepdims=True)


def mask(x: np.ndarray, legal: np.ndarray) -> np.ndarray:
    """The lowest float where an action is illegal."""
    return np.where(legal, x, np.finfo(np.float32).min)


def choose(x: np.ndarray, counts: Sequence[int]) -> np.ndarray:
    """The greatest of each group of columns, `[B, K]`."""
    ends = np.cumsum(counts)
    groups = [x[:, end - n : end].argmax(1) for n, end in zip(counts, ends, strict=True)]
    return np.stack(groups, axis=1)


def repeat(like: np.ndarray, value: np.ndarray) -> np.ndarray:
    """A row of numbers for every example."""
    return np.broadcast_to(value, like.shape)


def rescale(
    unit: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    unit_low: np.ndarray,
    unit_high: np.ndarray,
    whole: bool,
) -> np.ndarray:
    """Maps -1 .. 1 to the bounds, or any number to the side of a single bound."""
    half = np.float32(0.5)
    scaled = half * (1 - unit) * unit_low + half * (1 + unit) * unit_high
    has_low, has_high = np.isfinite(low), np.isfinite(high)
    scaled = np.where(has_low & ~has_high, low + softplus(unit), scaled)
    scaled = np.where(has_high & ~has_low, high - softplus(-unit), scaled)
    return np.clip(np.round(scaled) if whole else scaled, low, high)


def softplus(x: np.ndarray) -> np.ndarray:
    """log(1 + e^x), which does not overflow."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + e^-x), which does not overflow."""
    return half_sum(np.tanh(np.float32(0.5) * x))


def half_sum(x: np.ndarray) -> np.ndarray:
    """(1 + x) / 2."""
    return np.float32(0.5) * (1 + x)


def gelu(x: np.ndarray) -> np.ndarray:
    """Its approximation by tanh (Hendrycks and Gimpel 2016)."""
    inner = np.float32(np.sqrt(2 / np.pi)) * (x + np.float32(0.044715) * x**3)
    return x * half_sum(np.tanh(inner))


ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "silu": lambda x: x * sigmoid(x),
    "gelu": gelu,
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
}
OPERATIONS: dict[str, Callable[..., np.ndarray]] = {
    function.__name__: function
    for function in (
        *(cast, reshape, transpose, divide, standardise, one_hot, concatenate, convolve, activate),
        *(dense, part, clip, join_streams, mask, choose, repeat, rescale),
        *(pad, viewer_cell, look_up, rearrange, add_outside, add, dense_cells),
    )
}
"""By the names that policy.json has."""
