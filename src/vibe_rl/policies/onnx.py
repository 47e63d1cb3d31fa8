"""The operations of a policy as an ONNX model, its batch size free."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from vibe_rl.extras import require
from vibe_rl.policies.network import PolicyNetwork

OPSET, IR_VERSION = 17, 8
"""Of 2022, so that older readers understand them; tried with ONNX Runtime 1.32."""
LOWEST = np.finfo(np.float32).min


def load_onnx() -> Any:
    """The package; ConfigError if it is not installed."""
    for module in ("helper", "numpy_helper", "checker"):
        require(f"onnx.{module}", "export", "ONNX files")
    return require("onnx", "export", "ONNX files")


def run_onnx(
    path: Path, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]
) -> dict[str, Any]:
    """What a model gives, by ONNX Runtime where it is installed, else by onnx's own NumPy."""
    if find_spec("onnxruntime") is None:
        session = require("onnx.reference", "export", "ONNX files").ReferenceEvaluator(str(path))
    else:
        session = import_module("onnxruntime").InferenceSession(str(path))
    return dict(zip(outputs, session.run(list(outputs), dict(inputs)), strict=True))


class Writer:
    """Nodes and constants of a graph, as they are put together."""

    def __init__(self, params: Mapping[str, np.ndarray]):
        self.onnx = load_onnx()
        self.params = params
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """The name of the output of one more node."""
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        """The name of an array."""
        name = f"constant_{len(self.constants)}"
        array = np.ascontiguousarray(np.asarray(value, dtype))
        self.constants.append(
            self.onnx.numpy_helper.from_array(array.reshape(np.shape(value)), name)
        )
        return name

    def type_of(self, dtype: Any) -> int:
        """ONNX's number of a type."""
        return self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))


def to_onnx(network: PolicyNetwork) -> Any:
    """The model: inputs and outputs have the names of the description."""
    writer = Writer(network.params)
    values = {spec["name"]: spec["name"] for spec in network.inputs}
    for step in network.operations:
        given = [values[name] for name in step["inputs"]]
        arrays = {key: network.params[name] for key, name in step["params"].items()}
        write = OPERATIONS[step["operation"]]
        values[step["output"]] = write(writer, *given, **arrays, **step["attributes"])
    for name, value in network.outputs.items():
        writer.nodes.append(writer.onnx.helper.make_node("Identity", [values[value]], [name]))
    return model(writer, network)


def model(writer: Writer, network: PolicyNetwork) -> Any:
    """The checked model of a graph that is complete."""
    helper = writer.onnx.helper
    info = helper.make_tensor_value_info
    inputs = [
        info(spec["name"], writer.type_of(spec["dtype"]), ["batch", *spec["shape"]])
        for spec in network.inputs
    ]
    zeros = [np.zeros((1, *spec["shape"]), spec["dtype"]) for spec in network.inputs]
    outputs = [
        info(name, writer.type_of(x.dtype), ["batch", *x.shape[1:]])
        for name, x in network.policy().run(zeros).items()
    ]
    graph = helper.make_graph(writer.nodes, "policy", inputs, outputs, writer.constants)
    opset = [helper.make_opsetid("", OPSET)]
    made = helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION)
    made.producer_name = "vibe_rl"
    writer.onnx.checker.check_model(made, full_check=True)
    return made


def _cast(writer: Writer, x: str, dtype: str) -> str:
    return writer.node("Cast", x, to=writer.type_of(dtype))


def _reshape(writer: Writer, x: str, shape: Sequence[int]) -> str:
    return writer.node("Reshape", x, writer.constant([0, *shape], np.int64))


def _transpose(writer: Writer, x: str, axes: Sequence[int]) -> str:
    return writer.node("Transpose", x, perm=[0, *axes])


def _divide(writer: Writer, x: str, by: float) -> str:
    return writer.node("Div", x, writer.constant(by))


def _standardise(writer: Writer, x: str, mean: np.ndarray, scale: np.ndarray, clip: float) -> str:
    centred = writer.node("Sub", x, writer.constant(mean))
    scaled = writer.node("Mul", centred, writer.constant(scale))
    return _clip(writer, scaled, -clip, clip)


def _one_hot(writer: Writer, x: str, counts: Sequence[int]) -> str:
    which = writer.constant(np.repeat(np.arange(len(counts)), counts), np.int64)
    value = writer.constant(np.concatenate([np.arange(n) for n in counts]), np.int64)
    chosen = writer.node(
        "Gather", writer.node("Cast", x, to=writer.type_of(np.int64)), which, axis=1
    )
    return writer.node("Cast", writer.node("Equal", chosen, value), to=writer.type_of(np.float32))


def _concatenate(writer: Writer, *parts: str) -> str:
    return writer.node("Concat", *parts, axis=1)


def _convolve(writer: Writer, x: str, kernel: np.ndarray, stride: int) -> str:
    channels_first = writer.node("Transpose", x, perm=[0, 3, 1, 2])
    weight = writer.constant(kernel.transpose(3, 2, 0, 1))
    out = writer.node("Conv", channels_first, weight, strides=[stride, stride])
    return writer.node("Transpose", out, perm=[0, 2, 3, 1])


def _pad(writer: Writer, x: str, by: int) -> str:
    sides = [0, by, by, 0]
    return writer.node("Pad", x, writer.constant(sides + sides, np.int64))


def _viewer_cell(writer: Writer, x: str, rows: int, columns: int, row: int, column: int) -> str:
    places = []
    for i, n in ((row, rows - 1), (column, columns - 1)):
        entry = writer.node("Gather", x, writer.constant(i, np.int64), axis=1)
        rounded = writer.node("Round", writer.node("Mul", entry, writer.constant(n)))
        places.append(_clip(writer, rounded, 0.0, float(n)))
    begin = writer.node("Mul", places[0], writer.constant(columns))
    return _cast(writer, writer.node("Add", begin, places[1]), "int64")


def _look_up(writer: Writer, index: str, table: np.ndarray) -> str:
    return writer.node("Gather", writer.constant(table), index, axis=0)


def _rearrange(writer: Writer, cells: str, index: str, table: np.ndarray) -> str:
    whole = writer.constant(table[:, :, None], np.int64)
    order = writer.node("Gather", whole, index, axis=0)
    return writer.node("GatherND", cells, order, batch_dims=1)


def _add_outside(writer: Writer, cells: str) -> str:
    ends = (writer.constant(x, np.int64) for x in ([0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 1, 0]))
    ones = writer.node("Pad", cells, next(ends), writer.constant(1.0))
    return writer.node("Pad", ones, next(ends))


def _add(writer: Writer, x: str, y: str) -> str:
    return writer.node("Add", x, y)


def _dense_cells(writer: Writer, x: str, weight: np.ndarray, bias: np.ndarray) -> str:
    return _add(writer, writer.node("MatMul", x, writer.constant(weight)), writer.constant(bias))


def _activate(writer: Writer, x: str, kind: str) -> str:
    return ACTIVATIONS[kind](writer, x)


def _dense(writer: Writer, x: str, weight: np.ndarray, bias: np.ndarray) -> str:
    return writer.node("Gemm", x, writer.constant(weight), writer.constant(bias))


def _part(writer: Writer, x: str, begin: int, end: int) -> str:
    bounds = (writer.constant([n], np.int64) for n in (begin, end, 1))
    return writer.node("Slice", x, *bounds)


def _clip(writer: Writer, x: str, low: float, high: float) -> str:
    return writer.node("Clip", x, writer.constant(low), writer.constant(high))


def _join_streams(writer: Writer, value: str, advantage: str) -> str:
    mean = writer.node("ReduceMean", advantage, axes=[1], keepdims=1)
    return writer.node("Sub", writer.node("Add", value, advantage), mean)


def _mask(writer: Writer, x: str, legal: str) -> str:
    return writer.node("Where", legal, x, writer.constant(LOWEST))


def _choose(writer: Writer, x: str, counts: Sequence[int]) -> str:
    ends = np.cumsum(counts).tolist()
    parts = [_part(writer, x, end - n, end) for n, end in zip(counts, ends, strict=True)]
    return _concatenate(writer, *(writer.node("ArgMax", part, axis=1) for part in parts))


def _repeat(writer: Writer, like: str, value: np.ndarray) -> str:
    return writer.node("Expand", writer.constant(value), writer.node("Shape", like))


def _rescale(
    writer: Writer,
    unit: str,
    low: np.ndarray,
    high: np.ndarray,
    unit_low: np.ndarray,
    unit_high: np.ndarray,
    whole: bool,
) -> str:
    add, times, constant = _binary(writer, "Add"), _binary(writer, "Mul"), writer.constant
    below = times(
        times(constant(0.5), _binary(writer, "Sub")(constant(1.0), unit)), constant(unit_low)
    )
    above = times(times(constant(0.5), add(constant(1.0), unit)), constant(unit_high))
    scaled = _one_sided(writer, unit, add(below, above), low, high)
    scaled = writer.node("Round", scaled) if whole else scaled
    return writer.node("Min", writer.node("Max", scaled, constant(low)), constant(high))


def _one_sided(writer: Writer, unit: str, scaled: str, low: np.ndarray, high: np.ndarray) -> str:
    has_low, has_high = np.isfinite(low), np.isfinite(high)
    for sides, bound, sign in (
        (has_low & ~has_high, low, "Add"),
        (has_high & ~has_low, high, "Sub"),
    ):
        if sides.any():
            away = unit if sign == "Add" else writer.node("Neg", unit)
            finite = writer.constant(np.where(sides, bound, 0.0))
            moved = writer.node(sign, finite, writer.node("Softplus", away))
            scaled = writer.node("Where", writer.constant(sides, bool), moved, scaled)
    return scaled


def _binary(writer: Writer, kind: str) -> Callable[[str, str], str]:
    return lambda a, b: writer.node(kind, a, b)


def _silu(writer: Writer, x: str) -> str:
    return writer.node("Mul", x, writer.node("Sigmoid", x))


def _gelu(writer: Writer, x: str) -> str:
    add, times, constant = _binary(writer, "Add"), _binary(writer, "Mul"), writer.constant
    cubed = times(constant(0.044715), times(x, times(x, x)))
    inner = writer.node("Tanh", times(constant(np.sqrt(2 / np.pi)), add(x, cubed)))
    return times(x, times(constant(0.5), add(constant(1.0), inner)))


ACTIVATIONS: dict[str, Callable[[Writer, str], str]] = {
    "tanh": lambda writer, x: writer.node("Tanh", x),
    "relu": lambda writer, x: writer.node("Relu", x),
    "elu": lambda writer, x: writer.node("Elu", x),
    "silu": _silu,
    "gelu": _gelu,
}
OPERATIONS: dict[str, Callable[..., str]] = {
    "activate": _activate,
    "add": _add,
    "add_outside": _add_outside,
    "cast": _cast,
    "choose": _choose,
    "clip": _clip,
    "concatenate": _concatenate,
    "convolve": _convolve,
    "dense": _dense,
    "dense_cells": _dense_cells,
    "divide": _divide,
    "join_streams": _join_streams,
    "look_up": _look_up,
    "mask": _mask,
    "one_hot": _one_hot,
    "pad": _pad,
    "part": _part,
    "rearrange": _rearrange,
    "repeat": _repeat,
    "rescale": _rescale,
    "reshape": _reshape,
    "standardise": _standardise,
    "transpose": _transpose,
    "viewer_cell": _viewer_cell,
}
"""How each operation of `numpy_runner.OPERATIONS` is written."""
