"""Action values: of every choice at an observation, or of one continuous action."""

from collections.abc import Callable

import equinox as eqx
import jax
from jaxtyping import Array, Float

from vibe_rl.networks.encoder import Encoder
from vibe_rl.networks.layers import MLP, Linear, RowLinear, without_norm
from vibe_rl.types import Key, PyTree


class Stream(eqx.Module):
    """A dense layer and a linear one: half of a duelling network."""

    hidden: MLP
    head: Linear

    def __init__(self, key: Key, n_in: int, width: int, n_out: int, activation: str):
        keys = jax.random.split(key)
        self.hidden = MLP(keys[0], n_in, (width,), activation)
        self.head = Linear(keys[1], width, n_out, scale=1.0)

    def __call__(self, features: Float[Array, " in *B"]) -> Float[Array, " out *B"]:
        """The outputs for one example, or for examples in a last axis."""
        return self.head(self.hidden(features))


class QNetwork(eqx.Module):
    """Q(obs, .) of A choices."""

    encoder: Encoder
    head: Linear | RowLinear

    def __init__(self, key: Key, make_encoder: Callable[[Key], Encoder], n_actions: int):
        keys = jax.random.split(key)
        self.encoder = make_encoder(keys[0])
        self.head = without_norm(self.encoder.layer)(
            keys[1], self.encoder.width, n_actions, scale=1.0
        )

    def __call__(self, obs: PyTree) -> Float[Array, " A"]:
        """The value of every choice at one observation."""
        return self.head(self.encoder(obs))

    def batch(self, obs: PyTree) -> Float[Array, " A B"]:
        """The values at a batch of observations, a column each: for layers that are `Linear`."""
        return self.head(self.encoder.batch(obs))


class DuelingQNetwork(eqx.Module):
    """Q(obs, .) = V(obs) + A(obs, .) - mean A(obs, .) (Wang et al. 2016, arXiv:1511.06581, eq. 9).

    The last hidden layer belongs to the streams, each of which has one of that width.
    """

    encoder: Encoder
    advantage: Stream
    value: Stream

    def __init__(
        self,
        key: Key,
        make_encoder: Callable[[Key, tuple[int, ...]], Encoder],
        hidden_sizes: tuple[int, ...],
        n_actions: int,
        activation: str,
    ):
        keys = jax.random.split(key, 3)
        self.encoder = make_encoder(keys[0], hidden_sizes[:-1])
        width = hidden_sizes[-1]
        self.advantage = Stream(keys[1], self.encoder.width, width, n_actions, activation)
        self.value = Stream(keys[2], self.encoder.width, width, 1, activation)

    def __call__(self, obs: PyTree) -> Float[Array, " A"]:
        """The value of every choice at one observation."""
        return self._join(self.encoder(obs))

    def batch(self, obs: PyTree) -> Float[Array, " A B"]:
        """The values at a batch of observations, a column each."""
        return self._join(self.encoder.batch(obs))

    def _join(self, features: Float[Array, " in *B"]) -> Float[Array, " A *B"]:
        advantage = self.advantage(features)
        return self.value(features) + advantage - advantage.mean(0, keepdims=True)
