"""Networks: from an observation to features, policies and values."""

from vibe_rl.networks.actor_critic import ActorCritic, PolicyHead
from vibe_rl.networks.distributions import Categorical, MultiCategorical, Normal, TanhNormal
from vibe_rl.networks.encoder import Encoder
from vibe_rl.networks.layers import CNN, MLP, Linear, RowLinear
from vibe_rl.networks.q_network import DuelingQNetwork, QNetwork

__all__ = [
    "CNN",
    "MLP",
    "ActorCritic",
    "Categorical",
    "DuelingQNetwork",
    "Encoder",
    "Linear",
    "MultiCategorical",
    "Normal",
    "PolicyHead",
    "QNetwork",
    "RowLinear",
    "TanhNormal",
]
