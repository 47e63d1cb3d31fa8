"""The settings that algorithms with a replay share."""

from dataclasses import dataclass

from vibe_rl.limits import NOT_NEGATIVE, ONE_OR_MORE, POSITIVE, SHARE, Limits
from vibe_rl.types import description, static


@description
@dataclass(frozen=True)
class OffPolicyConfig:
    """Hyperparameters of learning from replay."""

    gamma: float = 0.99
    """Discount factor."""
    batch_size: int = static(64)
    """Examples in a gradient step."""
    replay_ratio: float = static(1.0)
    """Gradient steps per env step, counted over all envs."""
    train_every: int = static(1)
    """T, env steps per env between two updates."""
    num_envs: int = static(1)
    """N, environments stepped side by side."""
    n_step: int = static(1)
    """Rewards summed before the bootstrap."""
    exploration_hold: int = static(1)
    """Env steps for which an env keeps a random choice; more than 1 explores further (Dabney et al.
    2021, arXiv:2006.01782)."""
    prioritized: bool = static(False)
    """Whether transitions are drawn in proportion to their last TD error."""
    priority_alpha: float = 0.6
    """Exponent of the TD error: 0 is uniform."""
    priority_beta: float = 0.4
    """Exponent of the importance weights at first; 1, the whole correction, at schedule_steps."""
    max_grad_norm: float | None = 10.0
    """Largest global norm of a gradient; None clips nothing."""
    activation: str = static("relu")
    """Of the dense layers: tanh, relu, silu, gelu or elu."""
    conv_layers: tuple[tuple[int, int, int], ...] | None = static(None)
    """Channels, kernel and stride of each convolution; None chooses by the image's size."""
    normalize_obs: bool = static(False)
    """Whether observations are standardised by running statistics kept in the agent's state."""
    schedule_steps: float | None = None
    """Env steps over which schedules run; None: the runners put the run's total_timesteps here."""


LIMITS: Limits = {
    "batch_size": ONE_OR_MORE,
    "train_every": ONE_OR_MORE,
    "num_envs": ONE_OR_MORE,
    "n_step": ONE_OR_MORE,
    "exploration_hold": ONE_OR_MORE,
    "priority_alpha": NOT_NEGATIVE,
    "max_grad_norm": POSITIVE,
    "gamma": SHARE,
    "priority_beta": SHARE,
    "schedule_steps": ONE_OR_MORE,
}
