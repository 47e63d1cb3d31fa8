"""The hyperparameters of a `PPOAgent` under seed 002's names, and as the library's `PPOConfig`."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from vibe_rl.algorithms.ppo import PPOConfig
from vibe_rl.configs.train_config import tuples
from vibe_rl.errors import ConfigError, Typed, check_bounds, unknown
from vibe_rl.types import number

SAME = {
    "learning_rate": "lr",
    "clip_epsilon": "clip_eps",
    "gamma": "gamma",
    "gae_lambda": "gae_lambda",
    "entropy_coef": "ent_coef",
    "max_grad_norm": "max_grad_norm",
    "epochs_per_update": "n_epochs",
}
"""Names of seed 002, and what they set in `PPOConfig`; `value_coef` sets half of `vf_coef`."""
TAKEN = {name: ours for ours, name in SAME.items()} | {
    "vf_coef": "value_coef",
    "n_minibatches": "minibatch_size",
    "num_envs": "num_envs of PPOTrainer",
    "n_steps": "rollout_steps of PPOTrainer",
    "whole_episodes": "mode of PPOTrainer",
    "normalize_obs": "normalize_observations of CartPoleWrapper",
    "layer_grad_norms": "log_gradient_flow of PPOTrainer",
    "episodes_per_update": "episodes_per_update of PPOTrainer",
    "clip_value_loss": "value_clip_eps, by how much a value may move",
    "lr_schedule": "lr_end and schedule_steps",
    "normalize_advantages": "advantage_scope, for they always are",
}
"""What sets a field of `PPOConfig`, where it has another name or belongs elsewhere."""
OTHER = {"hidden": "hidden_sizes"}
"""Further names of fields of `PPOConfig`."""
DEFAULT_BATCH = 64


@dataclass(frozen=True, kw_only=True)
class AgentConfig(Typed):
    """What a `PPOAgent` is constructed with, but for its key."""

    section: ClassVar[str] = "PPOAgent "

    observation_dim: int = number(least=1)
    """Numbers in an observation."""
    action_dim: int = number(least=1)
    """Choices of an action."""
    learning_rate: float = number(3e-4, least=0)
    """Adam's learning rate."""
    clip_epsilon: float = number(0.2, least=0)
    """How far the probability ratio may move the surrogate objective."""
    gamma: float = number(0.99, least=0, most=1)
    """Discount factor."""
    gae_lambda: float = number(0.95, least=0, most=1)
    """Lambda of the generalised advantage estimates."""
    entropy_coef: float = number(0.01, least=0, finite=True)
    """Weight of the entropy bonus, per nat."""
    value_coef: float = number(0.5, least=0, finite=True)
    """Weight of the critic's mean squared error; `vf_coef`, of half of it, is twice this."""
    max_grad_norm: float = number(0.5, above=0)
    """Largest global norm of a gradient."""
    epochs_per_update: int = number(10, least=1)
    """Passes over the steps of an update."""
    batch_size: int = number(DEFAULT_BATCH, least=1)
    """Seed 002's name without a use: its default, or equal to `minibatch_size`."""
    minibatch_size: int = number(64, least=2)
    """Most steps in a gradient step."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """Other fields of `PPOConfig`, such as `hidden_sizes` or `target_kl`."""

    def __post_init__(self):
        super().__post_init__()
        check_bounds(self, self.section)
        self._check_batch_size()
        for name in self.more:
            _check_free(name)
        more = {OTHER.get(name, name): tuples(value) for name, value in self.more.items()}
        if len(more) < len(self.more):
            raise ConfigError("PPOAgent hidden and hidden_sizes are the same: give one of them.")
        object.__setattr__(self, "more", more)  # equal to what JSON has made of it

    def _check_batch_size(self) -> None:
        if self.batch_size not in (DEFAULT_BATCH, self.minibatch_size):
            raise ConfigError(
                f"PPOAgent batch_size {self.batch_size}: an update learns from whole episodes, so "
                "leave it out, and give minibatch_size, or episodes_per_update to PPOTrainer."
            )

    def ppo_config(self, *, n_steps: int, num_envs: int, **fixed: Any) -> PPOConfig:
        """The library's config for rollouts of `n_steps` times `num_envs` steps."""
        named = {ours: getattr(self, name) for name, ours in SAME.items()}
        sizes = {"n_steps": n_steps, "num_envs": num_envs}
        sizes["n_minibatches"] = n_steps * num_envs // self.minibatch_size
        scope = {"advantage_scope": "rollout", **self.more}
        return PPOConfig(**named, **sizes, **scope, **fixed, vf_coef=2 * self.value_coef)


def _check_free(name: str) -> None:
    """Raises ConfigError for what is no field of `PPOConfig`, or has another name here."""
    name = OTHER.get(name, name)
    if name in TAKEN:
        raise ConfigError(f"PPOAgent {name}: give {TAKEN[name]}.")
    names = {f.name for f in fields(PPOConfig)} - set(TAKEN) | set(SAME)
    if name not in names:
        raise unknown("argument of PPOAgent", name, names)
