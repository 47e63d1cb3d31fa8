"""`PPOAgent`: the library's PPO as an object that holds what it has learned."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from vibe_rl.algorithms.ppo import PPO, PPOConfig, PPOState
from vibe_rl.errors import ConfigError, short, shown, writing
from vibe_rl.networks.actor_critic import ActorCritic, PolicyHead
from vibe_rl.networks.distributions import Categorical
from vibe_rl.networks.encoder import Encoder
from vibe_rl.networks.layers import Linear
from vibe_rl.ops.normalization import initial_statistics, standardize_obs
from vibe_rl.run_dir.files import write_atomically
from vibe_rl.run_dir.plain import plain
from vibe_rl.spaces import Box, Discrete
from vibe_rl.trainers.ppo_trainer.agent_config import AgentConfig
from vibe_rl.types import AnyArray, EitherKey, Key, PyTree, is_key, narrow, typed_key

FORMAT = 1
FORMAT_NAME = "vibe_rl.PPOAgent"
FILES = CONFIG_FILE, STATE_FILE = "agent.json", "agent.npz"
"""What a saved agent consists of."""
PPONetwork = ActorCritic
"""Actor and critic, each with an encoder of its own."""


class ActorNetwork(NamedTuple):
    """The half of a `PPONetwork` that chooses."""

    encoder: Encoder
    head: PolicyHead

    def __call__(self, obs: PyTree) -> Float[Array, " A"]:
        """The logits at one observation, as the networks see it."""
        return self.head.linear(self.encoder(obs))


class CriticNetwork(NamedTuple):
    """The half of a `PPONetwork` that values."""

    encoder: Encoder
    head: Linear

    def __call__(self, obs: PyTree) -> Float[Array, ""]:
        """The value of one observation, as the networks see it."""
        return self.head(self.encoder(obs))[0]


@jax.jit
def first_state(algorithm: PPO, key: Key) -> PPOState:
    """What an agent begins with; compiled once for agents of equal shapes."""
    return narrow(algorithm).init(key)


class PPOAgent:
    """A policy over choices, its critic, its optimiser, and how it learns.

    Args:
        observation_dim: numbers in an observation.
        action_dim: choices of an action.
        learning_rate, clip_epsilon, gamma, gae_lambda, entropy_coef, value_coef, max_grad_norm,
        epochs_per_update, batch_size, minibatch_size: see `AgentConfig`.
        key: of the first parameters, typed or `jax.random.PRNGKey`; None: that of 0.
        **more: other fields of `PPOConfig`, such as `hidden_sizes` or `target_kl`.

    Raises:
        ConfigError: an argument is unknown, out of its bounds, or would do nothing.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - seed 002's signature
        self,
        observation_dim: int,
        action_dim: int,
        learning_rate: float = 3e-4,
        clip_epsilon: float = 0.2,
        gamma: float = 0.99,
        gae_lambda: float = 0.95,
        entropy_coef: float = 0.01,
        value_coef: float = 0.5,
        max_grad_norm: float = 0.5,
        epochs_per_update: int = 10,
        batch_size: int = 64,
        minibatch_size: int = 64,
        key: EitherKey | None = None,
        **more: Any,
    ):
        given = {
            name: value for name, value in locals().items() if name in AgentConfig.__annotations__
        }
        self.config = AgentConfig(**given)
        self.state = self._first_state(jax.random.key(0) if key is None else checked_key(key))
        self.trained = False  # whether it has learned, or was loaded

    def _first_state(self, key: Any) -> PPOState:
        return first_state(self.algorithm, key)

    @property
    def algorithm(self) -> PPO:
        """The library's PPO for observations and actions of these sizes, whatever their bounds."""
        size = self.config.minibatch_size
        config = self.config.ppo_config(n_steps=size, num_envs=1, normalize_obs=True)
        shape = (self.config.observation_dim,)
        return PPO(config, Box(-np.inf, np.inf, shape), Discrete(self.config.action_dim))

    def fitted(self, like: PyTree, state: PPOState | None = None) -> PPOState:
        """A state as that of an env's own algorithm, whose spaces may have bounds.

        Args:
            like: such a state, or its shapes.
            state: of this agent; None: the present one.
        """
        held: Any = self.state if state is None else state
        if like.obs_statistics is None:
            held = held._replace(obs_statistics=None)
        return jax.tree.unflatten(jax.tree.structure(like), jax.tree.leaves(held))

    def take(self, state: PPOState) -> None:
        """Holds a state that was learned for this agent from now on."""
        if state.obs_statistics is None:  # it observes what there is
            like = jax.ShapeDtypeStruct((self.config.observation_dim,), jnp.float32)
            state = state._replace(obs_statistics=initial_statistics(like))
        self.state = jax.tree.unflatten(jax.tree.structure(self.state), jax.tree.leaves(state))
        self.trained = True

    @property
    def network(self) -> PPONetwork:
        """The networks with their parameters."""
        return self.state.params

    @property
    def network_params(self) -> PPONetwork:
        """The networks: they are the tree of their parameters."""
        return self.state.params

    @property
    def actor(self) -> ActorNetwork:
        """The half that chooses."""
        return ActorNetwork(self.network.actor, self.network.policy_head)

    @property
    def critic(self) -> CriticNetwork:
        """The half that values."""
        return CriticNetwork(self.network.critic or self.network.actor, self.network.value_head)

    @property
    def optimizer(self) -> optax.GradientTransformation:
        """Clipping by the global norm, then Adam, on small networks as one vector."""
        adam = self.algorithm.optimizer(self.config.learning_rate)
        return adam.transformation(adam.flattens(self.network))

    @property
    def optimizer_state(self) -> optax.OptState:
        """Adam's moments."""
        return self.state.opt_state

    @property
    def observation_stats(self) -> dict[str, np.ndarray]:
        """`count`, `mean` and `var` (of the population) of the observations that it has seen."""
        statistics = self.state.obs_statistics
        assert statistics is not None
        return {name: np.asarray(x) for name, x in statistics._asdict().items()}

    def select_action(
        self, params: PPONetwork, obs: AnyArray, key: EitherKey
    ) -> tuple[Array, Array, dict[str, Array]]:
        """A random action of a policy at an observation, its log-probability, and `value`."""
        seen = standardize_obs(self.state.obs_statistics, jnp.asarray(obs, jnp.float32))
        policy = params.policy(seen)
        action = policy.sample(checked_key(key))
        return action, policy.log_prob(action), {"value": params.value(seen)}

    def act_greedy(self, params: PPONetwork, obs: AnyArray) -> Array:
        """The likeliest action of a policy at an observation, int32."""
        seen = standardize_obs(self.state.obs_statistics, jnp.asarray(obs, jnp.float32))
        return params.policy(seen).mode()

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Writes `agent.json` and `agent.npz`, of plain numbers, into a folder.

        Args:
            path: of the folder, which is made if there is none.
            overwrite: whether an agent that is there is replaced.

        Raises:
            ConfigError: there is an agent already, or it cannot be written.
        """
        folder = Path(path)
        if (folder / CONFIG_FILE).exists() and not overwrite:
            raise ConfigError(f"{shown(folder)} holds an agent already: name another folder.")
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        about = {"format": FORMAT_NAME, "version": FORMAT, "config": plain(asdict(self.config))}
        with write_atomically(folder / STATE_FILE) as file:
            np.savez(file, **arrays_by_name(self.state))  # type: ignore[arg-type]
        with write_atomically(folder / CONFIG_FILE) as file:
            file.write(f"{json.dumps(about, indent=2)}\n".encode())
        return folder

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "PPOAgent":
        """The agent of a folder that `save` wrote.

        Raises:
            ConfigError: there is none, or it is of a later version or damaged.
        """
        folder = Path(path)
        agent = cls(**_read_config(folder / CONFIG_FILE))
        like = arrays_by_name(agent.state)
        saved = read_arrays(folder / STATE_FILE)
        shapes = {name: x.shape for name, x in saved.items()}
        if shapes != {name: x.shape for name, x in like.items()}:
            raise ConfigError(f"{shown(folder)}: agent.npz is not of agent.json: save it again.")
        leaves = [jnp.asarray(saved[name]) for name in like]
        agent.take(jax.tree.unflatten(jax.tree.structure(agent.state), leaves))
        return agent


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file, by their names; ConfigError if it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, BadZipFile) as error:
        raise ConfigError(f"{shown(path)} is missing or damaged: save the agent again.") from error


RAW_KEY = (2,)
"""The shape of a key of `jax.random.PRNGKey`."""


def checked_key(key: Any, name: str = "PPOAgent key") -> Any:
    """A typed key; ConfigError for what is none, such as a number."""
    is_array = hasattr(key, "dtype")
    is_typed = is_array and is_key(key) and key.ndim == 0
    is_raw = is_array and key.dtype == np.uint32 and key.shape == RAW_KEY
    if not (is_typed or is_raw):
        raise ConfigError(f"{name} {short(key)}: give one key, such as jax.random.key(0).")
    return typed_key(key)


def _read_config(path: Path) -> dict[str, Any]:
    """The arguments of the agent that a file describes; ConfigError if it cannot be read here."""
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise ConfigError(f"{shown(path)} is no saved agent: name a folder of save().") from error
    if not isinstance(about, dict) or about.get("format") != FORMAT_NAME:
        raise ConfigError(f"{shown(path)} is no saved agent: name a folder of save().")
    if about.get("version", 0) > FORMAT:
        raise ConfigError(
            f"{shown(path)} is of format {about.get('format')} {about.get('version')}, and this "
            f"version reads {FORMAT_NAME} up to {FORMAT}: upgrade vibe_rl, or save it again."
        )
    config = dict(about["config"])
    return config | config.pop("more")


def arrays_by_name(tree: PyTree) -> dict[str, np.ndarray]:
    """The leaves of a tree under where they are."""
    leaves = jax.tree.leaves_with_path(tree)
    simple = {"simple": True, "separator": "."}
    return {jax.tree_util.keystr(path, **simple): np.asarray(leaf) for path, leaf in leaves}


def evaluate_action(logits: Float[Array, " A"], action: Array) -> Float[Array, ""]:
    """The log-probability of a choice, nats."""
    return Categorical(logits).log_prob(action)


def get_entropy(logits: Float[Array, " A"]) -> Float[Array, ""]:
    """The entropy of choices with these logits, nats."""
    return Categorical(logits).entropy()


def describe_agent(agent: PPOAgent) -> Mapping[str, Any]:
    """The agent's settings, for logs."""
    own = asdict(agent.config)
    return plain({"hidden_sizes": PPOConfig.hidden_sizes, **own.pop("more"), **own})
