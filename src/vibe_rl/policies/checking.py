"""Whether what was written of a policy acts as the policy does."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from vibe_rl.algorithms.base import Algorithm
from vibe_rl.errors import ConfigError
from vibe_rl.networks.actor_critic import choices, rescale
from vibe_rl.policies.parts import kind_of, raw_outputs
from vibe_rl.policies.stablehlo import PRECISION
from vibe_rl.spaces import Box
from vibe_rl.types import PyTree

OBSERVATIONS = 1000
TOLERANCE = 1e-4
"""Two numbers a and b are alike if |a - b| is at most so many times 1 + |b|, b the policy's own."""
MOST_DIFFERENT = 1e-3
"""Share of sampled choices that may differ: of a draw it is not known how near the next one was."""

Outputs = Mapping[str, np.ndarray]


class Original(NamedTuple):
    """What the policy itself does at a batch of observations."""

    outputs: dict[str, np.ndarray]  # the action, and what it comes from
    least: np.ndarray  # of actions that a mean within the tolerance gives; of choices unused
    most: np.ndarray


class Difference(NamedTuple):
    """How far a written policy is from the original."""

    numbers: float  # the largest, over 1 + |b|
    actions: int  # different choices, whose two best were nearer than the tolerance


def original(algorithm: Algorithm, state: PyTree, obs: PyTree) -> Original:
    """What the algorithm itself does at observations `[n, ...]`.

    Raises:
        ConfigError: it computes NaN or infinities.
    """

    @jax.default_matmul_precision(PRECISION)
    def everything(obs: PyTree) -> PyTree:
        return {"action": algorithm.greedy(state, obs), **raw_outputs(algorithm, state, obs)}

    outputs = jax.tree.map(np.asarray, jax.jit(jax.vmap(everything))(obs))
    for name, x in outputs.items():
        if not np.isfinite(x).all():
            raise ConfigError(
                f"the policy's {name} is NaN or infinite: export an earlier checkpoint."
            )
    if not isinstance(algorithm.action_space, Box):
        return Original(outputs, outputs["action"], outputs["action"])
    squash = kind_of(algorithm).parts(algorithm, state).squash
    margin = TOLERANCE * (1 + np.abs(outputs["mean"]))
    ends = (outputs["mean"] - margin, outputs["mean"] + margin)
    least, most = (actions_of(algorithm.action_space, squash, end) for end in ends)
    return Original(outputs, least, most)


def actions_of(space: Box, squash: bool, mean: np.ndarray) -> np.ndarray:
    """The greedy actions of these means `[n, A]`, as floats."""
    unit = np.tanh(mean) if squash else mean
    with jax.numpy_rank_promotion("allow"):
        scaled = jax.jit(jax.vmap(lambda x: rescale(space, x)))(unit.astype(np.float32))
    return np.asarray(scaled, np.float64)


def compare_outputs(what: str, algorithm: Algorithm, here: Original, found: Outputs) -> Difference:
    """How far what was written is from the original, at the same observations.

    Raises:
        ConfigError: farther than the tolerance.
    """
    sizes = {name: relative(x, here.outputs[name]) for name, x in found.items() if name != "action"}
    far = [name for name, size in sizes.items() if not size <= TOLERANCE]  # NaN is far
    actions = action_difference(algorithm, here, found["action"])
    if far or actions is None:
        raise ConfigError(
            f"{what} differs from the policy by more than {TOLERANCE:g} in "
            f"{', '.join(far or ['action'])}: report it, or leave that format out."
        )
    return Difference(max([*sizes.values(), actions.numbers]), actions.actions)


def action_difference(
    algorithm: Algorithm, here: Original, action: np.ndarray
) -> Difference | None:
    """How far actions are from the original's; None if too far."""
    expected = here.outputs["action"]
    if (action.shape, action.dtype) != (expected.shape, expected.dtype):
        return None
    if isinstance(algorithm.action_space, Box):
        slack = 0 if algorithm.action_space.whole else TOLERANCE * (1 + np.abs(expected))
        inside = (here.least - slack <= action) & (action <= here.most + slack)
        return Difference(relative(action, expected), 0) if inside.all() else None
    scores = here.outputs[kind_of(algorithm).choice]
    counts = choices(algorithm.action_space)
    gaps = score_gaps(scores, counts, expected, action)
    near = gaps <= TOLERANCE * (1 + np.abs(best_scores(scores, counts)))
    return Difference(0.0, int((action != expected).sum())) if near.all() else None


def best_scores(scores: np.ndarray, counts: Sequence[int]) -> np.ndarray:
    """The greatest of each group of columns, `[n, K]`."""
    ends = np.cumsum(counts)
    groups = [scores[:, end - n : end].max(1) for n, end in zip(counts, ends, strict=True)]
    return np.stack(groups, 1).astype(np.float64)


def score_gaps(
    scores: np.ndarray, counts: Sequence[int], expected: np.ndarray, action: np.ndarray
) -> np.ndarray:
    """How much less than the expected choice the one that was made is worth, `[n, K]`."""
    starts = np.cumsum(counts) - np.array(counts)
    columns = (x.reshape(len(scores), -1) + starts for x in (expected, action))
    wanted, made = (np.take_along_axis(scores, x, 1).astype(np.float64) for x in columns)
    return wanted - made


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest |a - b| over 1 + |b|; NaN where there is one, infinite for other shapes."""
    if found.shape != expected.shape:
        return math.inf
    a, b = found.astype(np.float64), expected.astype(np.float64)
    return float((np.abs(a - b) / (1 + np.abs(b))).max(initial=0.0))


def compare_samples(
    program: Callable[..., Any], written: Callable[..., Any], arguments: Sequence[np.ndarray]
) -> Difference:
    """How far the samples of a written policy are from those of its program, for the same key.

    Raises:
        ConfigError: farther than the tolerance.
    """
    expected, found = (np.asarray(each(*arguments)) for each in (jax.jit(program), written))
    if expected.dtype.kind in "iub":
        different = int((expected != found).sum())
        if different <= MOST_DIFFERENT * expected.size:
            return Difference(0.0, different)
    elif relative(found, expected) <= TOLERANCE:
        return Difference(relative(found, expected), 0)
    raise ConfigError("samples of StableHLO differ from the policy's: leave stablehlo out.")
