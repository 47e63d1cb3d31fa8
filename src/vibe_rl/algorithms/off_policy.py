"""What DQN and SAC share: experience is kept in a replay ring and learned from many times.

An update writes a rollout into the ring inside the agent's state, draws `replay_ratio` batches per
env step from it and learns from them. Before the first one comes a warm-up (`vibe_rl.algorithms.
warmup`).
"""

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array
from typing_extensions import override

from vibe_rl.algorithms.base import Algorithm, Setup, Stage, with_schedule_steps
from vibe_rl.algorithms.checks import check_common
from vibe_rl.algorithms.warmup import Warmup
from vibe_rl.errors import ConfigError
from vibe_rl.networks.encoder import ENCODERS, Encoder, encoder_of, view
from vibe_rl.networks.token_fields import TokenFields
from vibe_rl.ops.normalization import (
    RunningStatistics,
    initial_statistics,
    standardize_obs,
    update_statistics,
)
from vibe_rl.replay import AbstractReplay, HostReplay, Replay, ShardedReplay
from vibe_rl.replay.base import AnyKey
from vibe_rl.replay.ring import Batch, Ring
from vibe_rl.schedule import interpolate
from vibe_rl.spaces import Space
from vibe_rl.system.memory import format_bytes, free_on_device, free_on_host
from vibe_rl.types import COUNTABLE, Key, Keys, Number, Transition, description, number, static


@description
@dataclass(frozen=True, kw_only=True)
class OffPolicyConfig(TokenFields):
    """Hyperparameters of learning from replay."""

    gamma: float = number(0.99, least=0, most=1)
    """Discount factor."""
    batch_size: int = static(64, least=1)
    """Examples in a gradient step."""
    replay_ratio: float = static(1.0, above=0, finite=True)
    """Gradient steps per env step, counted over all envs."""
    train_every: int = static(1, least=1)
    """T, env steps per env between two updates."""
    num_envs: int = static(1, least=1)
    """N, environments stepped side by side."""
    n_step: int = static(1, least=1)
    """Rewards summed before the bootstrap."""
    exploration_hold: int = static(1, least=1, most=COUNTABLE)
    """Env steps for which an env keeps a random choice; more than 1 explores further (Dabney et al.
    2021, arXiv:2006.01782)."""
    prioritized: bool = static(False)
    """Whether transitions are drawn in proportion to their last TD error."""
    priority_alpha: float = number(0.6, least=0, finite=True)
    """Exponent of the TD error: 0 is uniform."""
    priority_beta: float = number(0.4, least=0, most=1)
    """Exponent of the importance weights at first; 1, the whole correction, at schedule_steps."""
    max_grad_norm: float | None = number(10.0, above=0)
    """Largest global norm of a gradient; None clips nothing."""
    activation: str = static("relu")
    """Of the dense layers: tanh, relu, silu, gelu or elu."""
    conv_layers: tuple[tuple[int, int, int], ...] | None = static(None)
    """Channels, kernel and stride of each convolution; None chooses by the image's size."""
    encoder: str = static("auto", one_of=tuple(ENCODERS))
    """What sees an observation before the dense layers: auto convolves pictures, mlp flattens all;
    over boards cells, rolled, centred, conv, attention; over Tokens embedded, lq, lqh, mtr,
    wayformer."""
    cell_width: int = static(16, least=1)
    """Features of a board's cell after the dense layer that the cells share."""
    normalize_obs: bool = static(False)
    """Whether observations are standardised by running statistics kept in the agent's state."""
    schedule_steps: float | None = number(None, least=1)
    """Env steps over which schedules run; None: the runners put the run's total_timesteps here."""


class Memory(NamedTuple):
    """The replay and what else is kept of experience."""

    ring: Ring  # or several; None where the state has been left without, see `without_ring`
    obs_statistics: RunningStatistics | None  # None unless normalize_obs
    step: Array  # int32, rollouts so far, those of the warm-up included
    exploration_key: Key  # of the random choices that are held


@description
@dataclass(frozen=True)
class OffPolicy(Algorithm):
    """The base of algorithms with a replay ring; subclasses define how to act and how to learn.

    Their state is a NamedTuple with a field `memory`. `learn(state, batches, key)` makes a gradient
    step on each of `[U, B]` examples and returns the state, metrics and the sizes of the TD errors
    `[U, B]`.
    """

    config: Any
    obs_space: Space = static()
    action_space: Space = static()
    replay: AbstractReplay = static()
    warmup_steps: int = static()
    reports_episodes: ClassVar[bool] = True
    uses_replay: ClassVar[bool] = True

    @override
    @classmethod
    def from_config(cls, config: Any, obs_space: Space, action_space: Space, setup: Setup) -> Any:
        config = with_schedule_steps(config, setup.total_timesteps)
        return cls(config, obs_space, action_space, make_replay(config, setup), setup.warmup_steps)

    @property
    @override
    def rollout_length(self) -> int:
        return self.config.train_every

    @property
    def steps_per_update(self) -> int:
        """Env steps, over all envs."""
        return self.config.train_every * self.replay.num_envs

    @property
    def warmup_updates(self) -> int:
        """Rollouts of random actions before the first update."""
        return -(-self.warmup_steps // self.steps_per_update)

    @property
    def gradient_steps(self) -> int:
        """U, the gradient steps of one update."""
        return round(self.config.replay_ratio * self.steps_per_update)

    def encoder(self, key: Key, hidden_sizes: tuple[int, ...]) -> Encoder:
        """The layers that turn an observation into features."""
        return encoder_of(self.config, key, self.obs_space, hidden_sizes)

    def init_memory(self, key: Key) -> Memory:
        """No experience; a host ring is not made here, for this runs on the device."""
        example = jax.eval_shape(self.obs_space.sample, jax.random.key(0))
        statistics = initial_statistics(view(example)) if self.config.normalize_obs else None
        ring = None if self.on_host else self.replay.init(self.obs_space, self.action_space)
        return Memory(
            ring=ring,  # type: ignore[arg-type]
            obs_statistics=statistics,
            step=jnp.int32(0),
            exploration_key=key,
        )

    @override
    def act_keys(self, state: Any, fresh: Keys) -> Keys:
        """The keys `[T, N]` of a rollout's random choices: `fresh` ones, or each held for a while.

        With an `exploration_hold` of k, an env's key changes every k steps, and the envs' keys not
        all at once.
        """
        hold, memory = self.config.exploration_hold, state.memory
        if hold == 1:
            return fresh
        n_steps, num_envs = fresh.shape
        step = memory.step * n_steps + jnp.arange(n_steps, dtype=jnp.int32)
        env = jnp.arange(num_envs, dtype=jnp.int32)
        block = (step[:, None] + (env * hold // num_envs)[None, :]) // hold
        of_env = jax.vmap(jax.random.fold_in, (None, 0))(memory.exploration_key, env)
        return jax.vmap(jax.vmap(jax.random.fold_in), (None, 0))(of_env, block)

    @override
    def stages(self) -> Sequence[tuple[Stage, int]]:
        return ((Warmup(self), self.warmup_updates),)

    @override
    def portable(self, state: Any) -> Any:
        return without_ring(state)

    @override
    def from_portable(self, state: Any) -> Any:
        ring = self.replay.init(self.obs_space, self.action_space)  # on the host, if it is there
        return state._replace(memory=state.memory._replace(ring=ring))

    @override
    def shardings(self, state: Any, whole: Any, split: Any) -> Any:
        rings = state.memory.ring, whole.memory.ring
        ring = jax.tree.map(lambda x, sharding: split if x.ndim else sharding, *rings)
        return whole._replace(memory=whole.memory._replace(ring=ring))

    @property
    def on_host(self) -> bool:
        """Whether the ring is in the host's memory."""
        return isinstance(self.replay, HostReplay)

    def update_memory(self, state: Any, rollout: Transition) -> Memory:
        """The memory after a rollout, but for the ring."""
        memory = state.memory
        statistics = memory.obs_statistics
        if statistics is not None:
            statistics = update_statistics(statistics, view(rollout.obs))
        return memory._replace(obs_statistics=statistics, step=memory.step + 1)

    def kept(self, rollout: Transition) -> Transition:
        """What the replay holds of a rollout."""
        return rollout._replace(extras=None)

    def store(self, state: Any, rollout: Transition) -> Memory:
        """The memory with a rollout added."""
        ring = self.replay.insert(state.memory.ring, self.kept(rollout))
        return self.update_memory(state, rollout)._replace(ring=ring)

    def env_steps(self, memory: Memory) -> Array:
        """Env steps so far, as float32."""
        return memory.step.astype(jnp.float32) * self.steps_per_update

    def fraction(self, memory: Memory) -> Array:
        """Progress of the run's schedules, from 0 to 1."""
        if self.config.schedule_steps is None:
            return jnp.float32(1.0)
        return jnp.clip(self.env_steps(memory) / self.config.schedule_steps, 0.0, 1.0)

    @override
    def update(self, state: Any, rollout: Transition, key: Key) -> tuple[Any, dict[str, Array]]:
        """Adds a rollout to the replay and learns from batches of it."""
        sample_key, learn_key = update_keys(key)
        memory = self.store(state, rollout)
        batches = self.sample(memory.ring, sample_key, self.beta(memory))
        state, metrics, td_error = self.learn_from(
            state._replace(memory=memory), batches, learn_key
        )
        priority = (td_error + 1e-6) ** self.config.priority_alpha
        ring = self.replay.reprioritize(memory.ring, batches, priority)
        metrics = metrics | {"buffer_fill": self.replay.fill(memory.ring)}
        return state._replace(memory=state.memory._replace(ring=ring)), metrics

    def sample(self, ring: Any, key: AnyKey, beta: Number = 1.0) -> Batch:
        """Examples `[U, B]`, not standardised."""
        shape = self.gradient_steps, self.config.batch_size
        return self.replay.sample(ring, key, shape, self.config.gamma, beta)

    def beta(self, memory: Memory) -> Array:
        """The exponent of the importance weights at this moment."""
        return interpolate(self.config.priority_beta, 1.0, self.fraction(memory))

    def learn_from(
        self, state: Any, batches: Batch, key: Key
    ) -> tuple[Any, dict[str, Array], Array]:
        """Learns from examples `[U, B]`, whatever ring they come from."""
        return self.learn(state, self.see(state.memory, batches), key)

    def see(self, memory: Memory, batches: Batch) -> Batch:
        """Examples `[U, B]` as the networks get them."""
        if memory.obs_statistics is None:
            return batches
        see = jax.vmap(jax.vmap(partial(standardize_obs, memory.obs_statistics)))
        return batches._replace(obs=see(batches.obs), next_obs=see(batches.next_obs))

    @abstractmethod
    def learn(self, state: Any, batches: Batch, key: Key) -> tuple[Any, dict[str, Array], Array]:
        """Gradient steps on batches `[U, B]`: the state, metrics, and sizes of TD errors."""

    @override
    def check(self, num_envs: int) -> None:
        """Raises ConfigError for settings that cannot work together."""
        check_common(self.config, self.obs_space)
        config, capacity = self.config, self.replay.capacity
        if num_envs != self.replay.num_envs:
            raise ConfigError(
                f"num_envs {num_envs} is not the replay's {self.replay.num_envs}: give the same."
            )
        if config.batch_size > self.warmup_steps:
            raise ConfigError(
                f"batch_size {config.batch_size} is larger than the {self.warmup_steps} "
                "transitions of warmup_steps: give a smaller batch or a longer warm-up."
            )
        if capacity < max(config.batch_size, num_envs * max(config.n_step, config.train_every)):
            raise ConfigError(
                f"buffer_size {capacity} holds less than a batch of {config.batch_size} or than "
                f"n_step {config.n_step} and train_every {config.train_every} steps of {num_envs} "
                "envs: give a larger buffer."
            )
        if self.on_host and config.prioritized:
            raise ConfigError(
                "prioritized True needs replay_on device: a ring on the host keeps no priorities."
            )
        self._check_replay_ratio()

    @override
    def check_memory(self, n_agents: int = 1, n_devices: int = 1) -> None:
        """Raises ConfigError for rings that do not fit on so many devices, a part on each."""
        n_memories = 1 if jax.default_backend() == "cpu" else n_devices  # a host has one
        needed = n_agents * self.replay.nbytes(self.obs_space, self.action_space) // n_memories
        free = free_on_host() if self.on_host else free_on_device()
        if needed > free:
            place = "host" if self.on_host else "device"
            remedy = "a smaller one" if self.on_host else "a smaller one, or replay_on host"
            raise ConfigError(
                f"buffer_size {self.replay.capacity:,} takes "
                f"{f'{n_agents} x ' * (n_agents > 1)}{self._ring_size()}, and the "
                f"{place} has {format_bytes(free)} free: give {remedy}."
            )
        if self.replay.num_envs * self.replay.length >= 2**31:
            raise ConfigError(
                f"buffer_size {self.replay.capacity:,} takes 2^31 slots or more, and they are "
                "counted in int32: give a smaller one."
            )

    @override
    def describe_memory(self) -> str:
        return f"replay of {self._ring_size()}"

    def _ring_size(self) -> str:
        """In words, with the arithmetic."""
        n_slots = self.replay.num_envs * self.replay.length
        n_bytes = self.replay.nbytes(self.obs_space, self.action_space)
        each = round(n_bytes / n_slots)
        return f"{n_slots:,} slots x {each} B = {format_bytes(n_bytes)}"

    def _check_replay_ratio(self) -> None:
        wanted = self.config.replay_ratio * self.steps_per_update
        if not math.isfinite(wanted) or abs(wanted - self.gradient_steps) > 1e-6 * wanted:
            raise ConfigError(
                f"replay_ratio {self.config.replay_ratio} means {wanted:g} gradient steps for the "
                f"{self.steps_per_update} env steps of an update (train_every "
                f"{self.config.train_every} x num_envs {self.replay.num_envs}): choose numbers "
                "whose product is whole, such as a larger train_every."
            )


def make_replay(config: OffPolicyConfig, setup: Setup) -> AbstractReplay:
    """The ring, or one part of it for each device.

    Raises:
        ConfigError: it cannot be split so.
    """
    options = setup.buffer_size, setup.num_envs, config.n_step, config.prioritized
    if setup.n_devices == 1:
        return {"device": Replay, "host": HostReplay}[setup.replay_on](*options)
    if setup.replay_on != "device":
        raise ConfigError(f"replay_on host needs one device, not {setup.n_devices}: leave one out.")
    if config.batch_size % setup.n_devices:
        raise ConfigError(
            f"batch_size {config.batch_size} does not divide over {setup.n_devices} devices: "
            "choose a multiple."
        )
    return ShardedReplay(*options, setup.n_devices)


def update_keys(key: Key) -> tuple[Key, Key]:
    """An update's keys, to draw with and to learn with."""
    sample_key, learn_key = jax.random.split(key)
    return sample_key, learn_key


def without_ring(state: Any) -> Any:
    """The state of DQN or SAC without its experience."""
    return state._replace(memory=state.memory._replace(ring=None))
