"""A list of operations over named parameters, as it is put together.

Each operation is one of `numpy_runner.OPERATIONS`, about a batch. It names its inputs, its output
and its parameters, so that the list is plain JSON and the parameters are arrays.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vibe_rl.errors import ConfigError
from vibe_rl.networks.layers import CNN
from vibe_rl.policies.numpy_runner import FORMAT, NumpyPolicy


@dataclass
class PolicyNetwork:
    """Inputs, operations, outputs and parameters, as they are put together."""

    inputs: list[dict[str, Any]] = field(default_factory=list)
    operations: list[dict[str, Any]] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    params: dict[str, np.ndarray] = field(default_factory=dict)

    def input(self, name: str, path: Sequence[str], shape: Sequence[int], dtype: Any) -> str:
        """An array of the observation; its name."""
        kind = np.dtype(dtype).name
        if kind == "bfloat16":
            raise ConfigError(f"{name} of type bfloat16 cannot be exported: use float32.")
        spec = {"name": name, "path": list(path), "shape": list(shape), "dtype": kind}
        self.inputs.append(spec)
        return name

    def add(self, operation: str, *inputs: str, params: Any = None, **attributes: Any) -> str:
        """The name of the output of one more operation.

        Args:
            operation: in `numpy_runner.OPERATIONS`.
            *inputs: names.
            params: arrays by the names of the operation's arguments.
            **attributes: plain values.
        """
        number = len(self.operations)
        names = {key: f"{number}_{operation}.{key}" for key in params or {}}
        for key, array in (params or {}).items():
            self.params[names[key]] = np.asarray(array, np.float32)
        step = {"operation": operation, "inputs": list(inputs), "output": f"{number}_{operation}"}
        self.operations.append(step | {"params": names, "attributes": attributes})
        return f"{number}_{operation}"

    def description(self) -> dict[str, Any]:
        """All but the parameters, as JSON holds it."""
        return {
            "inputs": self.inputs,
            "operations": self.operations,
            "outputs": self.outputs,
        }

    def policy(self) -> NumpyPolicy:
        """What runs it."""
        return NumpyPolicy({"format": FORMAT, **self.description()}, self.params)


def convolutions(network: PolicyNetwork, x: str, cnn: CNN) -> str:
    """The last feature map."""
    for kernel, stride in zip(cnn.kernels, cnn.strides, strict=True):
        if cnn.padding == "SAME":
            x = network.add("pad", x, by=kernel.shape[0] // 2)
        x = network.add("convolve", x, params={"kernel": kernel}, stride=stride)
        x = network.add("activate", x, kind="relu")
    return x
