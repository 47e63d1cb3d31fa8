"""Records, aliases and the field markers that every floor shares."""

import math
from dataclasses import MISSING, field, fields
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
from jaxtyping import Array

PyTree = Any
Number = float | int | Array
"""A hyperparameter: a Python number outside `jit`, a traced scalar inside."""
AnyArray = Any
"""On the device, or in the host's memory."""
Key = jaxtyping.Key[Array, ""]
"""A typed PRNG key (`jax.random.key`), consumed by whoever receives it."""
EitherKey = Key | jaxtyping.UInt32[Array, "2"]
"""Typed, or of the old kind (`jax.random.PRNGKey`)."""
Keys = jaxtyping.Key[Array, " T N"]
"""One for every step of every env of a rollout."""


f32: Any = np.float32
i32: Any = np.int32
"""Make leaves of env_params: strongly typed arrays that touch no device."""


NARROWER: Any = {
    np.dtype(np.float64): jnp.float32,
    np.dtype(np.int64): jnp.int32,
    np.dtype(np.uint64): jnp.uint32,
}
"""The type that an array of 64 bits gets wherever the library computes with it."""


def narrow(tree: Any) -> Any:
    """The tree with its arrays of 64 bits cast to 32; integers that are too large are cut.

    In JAX's 64-bit mode (`JAX_ENABLE_X64=1`) Python's numbers enter a program with 64 bits, and
    arrays have them unless they say otherwise. Without that mode this does nothing.
    """
    return jax.tree.map(_narrow_leaf, tree) if jax.config.jax_enable_x64 else tree  # type: ignore[attr-defined]


def _narrow_leaf(leaf: Any) -> Any:
    dtype = NARROWER.get(getattr(leaf, "dtype", None))
    if dtype is None:
        return leaf
    if jnp.issubdtype(dtype, jnp.integer):
        leaf = leaf.clip(jnp.iinfo(dtype).min, jnp.iinfo(dtype).max)
    return leaf.astype(dtype)


def is_key(leaf: Any) -> bool:
    """Whether a leaf, or the shape of one, is a typed PRNG key; Python's numbers are not."""
    return jnp.issubdtype(jnp.result_type(leaf), jax.dtypes.prng_key)


def typed_key(key: Array) -> Array:
    """The key; one of the old kind (`jax.random.PRNGKey`) as the typed key of the same numbers."""
    return key if is_key(key) else jax.random.wrap_key_data(key)


class Transition(NamedTuple):
    """One step of experience; a rollout has leading axes `[T, N]`, a batch `[B]`."""

    obs: PyTree
    action: PyTree
    reward: Array  # float32
    terminated: Array  # bool, the task ended
    truncated: Array  # bool, the clock ran out
    next_obs: PyTree  # the true successor of obs, never the first observation of the next episode
    extras: PyTree = None  # what `act` wants `update` to see again


class MaskedObs(NamedTuple):
    """An observation that says which actions are legal; policy heads mask by it."""

    view: PyTree  # what the networks see
    legal: Array  # bool, one entry per action


LARGEST = 3.4028234663852886e38  # finite number of 32 bits
COUNTABLE = 2**31 - 1  # by 32 bits


class Bounds(NamedTuple):
    """What a field of a config may be; see `vibe_rl.errors.check_bounds`."""

    least: float = -math.inf
    most: float = math.inf
    above: float | None = None  # instead of `least`: excluded itself
    one_of: tuple[str, ...] | None = None  # instead of numbers
    finite: bool = False  # whether infinity is excluded

    def hold(self, value: Any) -> bool:
        """Whether they allow this value; NaN is never allowed."""
        if self.one_of is not None:
            return value in self.one_of
        if self.overflow(value):
            return False
        return self.least <= value <= self.most and (self.above is None or value > self.above)

    def overflow(self, value: Any) -> bool:
        """Whether it is infinite in 32 bits, or NaN, where that is excluded."""
        return self.finite and not abs(value) <= LARGEST

    def remedy(self, value: Any) -> str:
        """What to give instead of a value that they do not allow, such as `at least 1`."""
        if self.overflow(value):
            return "a finite number"
        if self.above is not None:
            return f"more than {self.above:g}"
        if self.most < COUNTABLE:
            return f"a number from {self.least:g} to {self.most:g}"
        return f"at most {self.most:,}" if value > self.most else f"at least {self.least:g}"


def number(default: Any = MISSING, **bounds: Any) -> Any:
    """A dataclass field that is only a number, a leaf of the tree, and its `Bounds`."""
    return field(default=default, metadata={"bounds": Bounds(**bounds)})


def choice(default: str, *others: str) -> Any:
    """A dataclass field that is one of these names."""
    return field(default=default, metadata={"bounds": Bounds(one_of=(default, *others))})


def static(default: Any = MISSING, **bounds: Any) -> Any:
    """A dataclass field that fixes a shape or a program, and its `Bounds` if it has any.

    It is part of the tree's structure, no leaf.
    """
    metadata = {"static": True} | ({"bounds": Bounds(**bounds)} if bounds else {})
    return field(default=default, metadata=metadata)


def static_fields(config: Any) -> dict[str, Any]:
    """The values of a dataclass's fields that fix a shape or a program."""
    return {f.name: getattr(config, f.name) for f in fields(config) if f.metadata.get("static")}


T = TypeVar("T")


def description(cls: type[T]) -> type[T]:
    """Makes a frozen dataclass a pytree: static fields are its structure, the others its leaves.

    Rebuilt without calling `__init__`, for its leaves may then be tracers, shapes or markers.
    """
    dynamic = [f.name for f in fields(cls) if not f.metadata.get("static")]  # type: ignore[arg-type]
    fixed = [f.name for f in fields(cls) if f.metadata.get("static")]  # type: ignore[arg-type]

    def flatten(x: T) -> tuple[Any, Any]:
        leaves = tuple((jax.tree_util.GetAttrKey(name), getattr(x, name)) for name in dynamic)
        return leaves, tuple(getattr(x, name) for name in fixed)

    def unflatten(structure: Any, leaves: Any) -> T:
        x = object.__new__(cls)
        for name, value in zip((*fixed, *dynamic), (*structure, *leaves), strict=True):
            object.__setattr__(x, name, value)
        return x

    jax.tree_util.register_pytree_with_keys(cls, flatten, unflatten)
    return cls


RESERVED_METRICS = frozenset(
    {
        "step",
        "update",
        "wall_time",
        "steps_per_second",
        "episodes",
        "episode_return",
        "episode_length",
        "episode_return_mean",
        "episode_length_mean",
        "episode_return_min",
        "episode_return_max",
        "eval_return",
        "eval_return_std",
        "eval_length",
        "eval_finished",
        "q_start",
        "return_start",
        *("data_time", "training_time", "eval_time", "log_time", "iter_time"),
        *("return_sum", "return_min", "return_max", "length_sum"),
        *("first_bad_reward", "first_bad_obs", "first_without_action", "first_huge_reward"),
        *("loss", "total_loss", "actor_loss", "critic_loss", "alpha_loss"),
        *("lr", "epsilon", "alpha", "entropy", "q_mean", "td_error", "approx_kl", "kl_k1"),
        *(
            "clip_fraction",
            "grad_norm",
            "actor_grad_norm",
            "critic_grad_norm",
            "explained_variance",
        ),
        *("gradient_steps", "buffer_fill", "imitation_loss", "action_error"),
        "imitation_steps",
    }
)
"""Names that rows of metrics have already, and an environment's own metrics cannot have."""
