"""What an agent makes of an observation: an action, and the numbers behind it."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array

from vibe_rl.algorithms.base import Algorithm
from vibe_rl.env.host import AnyEnvironment
from vibe_rl.errors import ConfigError
from vibe_rl.networks.distributions import Categorical, MultiCategorical
from vibe_rl.policies.parts import kind_of, value_of
from vibe_rl.spaces import Discrete
from vibe_rl.types import Key, MaskedObs, PyTree, narrow
from vibe_rl.watching.games import Moment, words_of


class Choice(NamedTuple):
    """The options of one of the agent's choices."""

    scores: np.ndarray  # [A], probabilities or values
    legal: np.ndarray  # bool [A]
    are_values: bool = False  # expected returns instead of probabilities

    @property
    def entropy(self) -> float:
        """Of probabilities, in nats."""
        p = self.scores[self.scores > 0]
        return float(-np.sum(p * np.log(p))) + 0.0

    @property
    def best(self) -> np.ndarray:
        """The legal options, the one with the highest score first."""
        options = np.flatnonzero(self.legal)
        return options[np.argsort(-self.scores[options], kind="stable")]


class Decision(NamedTuple):
    """An action at one observation."""

    action: Any  # NumPy's
    choices: tuple[Choice, ...] = ()  # empty where actions are continuous, or nothing is known
    value: float | None = None  # the discounted return that is expected
    spread: tuple[np.ndarray, np.ndarray] | None = None  # mean and std before any bounds


Decide = Callable[[Moment, Key], Decision]
"""From a moment of an episode and a key, for those who draw, to the next action."""


@partial(jax.jit, static_argnames="sample")
def jit_outputs(
    agent: tuple[Algorithm, PyTree], obs: PyTree, key: Key, sample: bool
) -> dict[str, Any]:
    """The action, and what is known besides, of `(algorithm, agent_state)`."""
    algorithm, state = narrow(agent)
    action = algorithm.act(state, obs, key)[0] if sample else algorithm.greedy(state, obs)
    try:
        kind = kind_of(algorithm)
    except ConfigError:  # one that nothing is known of
        return {"action": action, "value": algorithm.value(state, obs)}
    value = value_of(algorithm, state, obs)
    known = {"action": action, "value": value}
    policy = kind.distribution(algorithm, state, obs)
    if isinstance(policy, Categorical):
        policy = MultiCategorical((policy,))
    if isinstance(policy, MultiCategorical):
        return known | {"logits": tuple(choice.logits for choice in policy.choices)}
    return known | {"mean": policy.mean, "log_std": policy.log_std}


def agent_decides(algorithm: Algorithm, state: PyTree, sample: bool = False) -> Decide:
    """The agent in this state, its best action or one that is drawn as in training."""
    agent = algorithm, state
    try:
        are_values = not kind_of(algorithm).samples
    except ConfigError:
        are_values = False

    def decide(moment: Moment, key: Key) -> Decision:
        found = jax.device_get(jit_outputs(agent, moment.obs, key, sample))
        return decision_of(found, moment.obs, are_values)

    return decide


def decision_of(found: Mapping[str, Any], obs: PyTree, are_values: bool) -> Decision:
    """The decision with the numbers of `jit_outputs`, on the host."""
    value = None if found["value"] is None else float(found["value"])
    if "mean" in found:
        spread = np.asarray(found["mean"]), np.exp(found["log_std"])
        return Decision(found["action"], (), value, spread)
    logits = found.get("logits", ())
    options = split_legal(obs, [len(each) for each in logits])
    scores = logits if are_values else [probabilities(each) for each in logits]
    choices = tuple(
        Choice(np.asarray(each), legal, are_values)
        for each, legal in zip(scores, options, strict=True)
    )
    return Decision(found["action"], choices, value)


def probabilities(logits: np.ndarray | Array) -> np.ndarray:
    """Softmax, float64."""
    powers = np.exp(np.asarray(logits, np.float64) - np.max(logits))
    return powers / powers.sum()


def split_legal(obs: PyTree, counts: list[int]) -> list[np.ndarray]:
    """Which options of each choice an observation allows: all, unless it says so."""
    if not isinstance(obs, MaskedObs):
        return [np.ones(n, bool) for n in counts]
    return np.split(np.asarray(obs.legal), np.cumsum(counts)[:-1].tolist())


def action_words(env: AnyEnvironment, params: PyTree) -> tuple[str, ...]:
    """What people call each of an environment's actions; empty where they have no names."""
    space = env.action_space(params)
    if not isinstance(space, Discrete):
        return ()
    names = tuple(words_of(env, "action_names", ()))
    if names and len(names) != space.n:
        raise ConfigError(
            f"action_names has {len(names)} names for {space.n} actions: give one for each."
        )
    return names
