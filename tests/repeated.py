"""What JAX and jaxtyping do again for each program or call, done once: a tenth of all tests' time.

Programs stay as they are, and so does the strictness, but that an argument which a function changes
against its own annotation is not noticed. These are private names: where another version lacks
one, everything is done as often as it is by users (`conftest.py`).
"""

import inspect
import threading
import zlib
from functools import partial
from types import FunctionType, ModuleType
from typing import Any

from jax._src import compilation_cache
from jax._src import config as jax_config
from jax._src.interpreters import mlir, partial_eval
from jaxtyping import _decorator

PROGRAMS = 50
"""For so many, one context: what it has seen, constants too, stays in it."""


def share_contexts() -> None:
    """Programs of a thread are written in one context of MLIR; to make one takes 5 ms."""
    make, kept = mlir.make_ir_context, threading.local()

    def shared() -> Any:
        kept.uses = (getattr(kept, "uses", -1) + 1) % PROGRAMS
        if kept.uses == 0:
            kept.context = make()
        return kept.context

    mlir.make_ir_context = shared


def compress_less() -> None:
    """Programs are packed for speed where zlib packs them; any process unpacks both."""
    if getattr(compilation_cache, "zstd", None) or getattr(compilation_cache, "zstandard", None):
        return
    compilation_cache.compress_executable = lambda program: zlib.compress(program, level=1)


class TracesKept(ModuleType):
    """`partial_eval` as MLIR's part of JAX sees it: a rule that is itself written in JAX, as that
    of random numbers, is traced once for types and not anew for each program.
    """

    def __init__(self) -> None:
        super().__init__("partial_eval")
        self._kept: dict[Any, Any] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(partial_eval, name)

    def trace_to_jaxpr_dynamic(self, function: Any, types: Any, **how: Any) -> Any:
        """As JAX's, from the second time on for the same function, types and settings."""
        what = fingerprint(function.f), function.params, tuple(how.items())
        key = what, tuple(types), jax_config.trace_context()
        try:
            if key not in self._kept:
                self._kept[key] = partial_eval.trace_to_jaxpr_dynamic(function, types, **how)
            return self._kept[key]
        except TypeError:  # a part of it has no hash
            return partial_eval.trace_to_jaxpr_dynamic(function, types, **how)


def fingerprint(value: Any) -> Any:
    """Equal for functions of the same code and surroundings."""
    if isinstance(value, partial):
        return fingerprint(value.func), value.args, tuple(value.keywords.items())
    if not isinstance(value, FunctionType):
        return value
    cells = (cell.cell_contents for cell in value.__closure__ or ())
    return value.__code__, value.__defaults__, tuple(map(fingerprint, cells))


def check_arguments_once() -> None:
    """Arguments are checked before a call and not again after it, where jaxtyping looks at the
    result: the sizes that they gave to names are remembered between the two.
    """
    make = _decorator._make_fn_with_signature

    def make_with_result(*names: str, signature: inspect.Signature, output: bool) -> Any:
        if output:
            free = [p.replace(annotation=Any) for p in signature.parameters.values()]
            signature = signature.replace(parameters=free)
        return make(*names, signature, output)

    _decorator._make_fn_with_signature = lambda name, qualname, module, signature, output: (
        make_with_result(name, qualname, module, signature=signature, output=output)
    )


class Bound(inspect.BoundArguments):
    """Arguments of a call, with the defaults already."""

    __slots__ = ()

    def apply_defaults(self) -> None:
        """They are."""


class Signature(inspect.Signature):
    """Binds plain calls in a third of the time; what is odd or wrong, as Python's own does."""

    __slots__ = ("_after", "_defaults", "_positional")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names, parameters = tuple(self.parameters), self.parameters.values()
        first = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        others = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
        plain = len(first) + len(others) == len(names)
        self._positional = tuple(first)
        self._after = [frozenset(names[i:]) for i in range(len(first) + 1)] if plain else []
        self._defaults = {p.name: p.default for p in parameters if p.default is not p.empty}

    def bind(self, /, *args: Any, **kwargs: Any) -> inspect.BoundArguments:
        if len(args) < len(self._after) and kwargs.keys() <= self._after[len(args)]:
            given = dict(zip(self._positional, args, strict=False))
            arguments = self._defaults | given | kwargs
            if len(arguments) == len(self.parameters):
                return Bound(self, arguments)
        return super().bind(*args, **kwargs)


class Inspect(ModuleType):
    """`inspect` with those signatures, as jaxtyping sees it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(inspect, name)

    @staticmethod
    def signature(function: Any) -> Signature:
        found = inspect.signature(function)
        parameters = list(found.parameters.values())
        return Signature(parameters, return_annotation=found.return_annotation)


def repeat_less() -> None:
    """To be called before the first function is checked."""
    share_contexts()
    compress_less()
    mlir.pe = TracesKept()
    check_arguments_once()
    _decorator.inspect = Inspect("inspect")
