"""How each algorithm learns to drive: ours by default, and V-Max's numbers beside them."""

from typing import Any, NamedTuple

from vibe_rl.algorithms.bc import BCConfig
from vibe_rl.algorithms.bc_sac import BCSACConfig
from vibe_rl.algorithms.ppo import PPOConfig
from vibe_rl.algorithms.sac import SACConfig
from vibe_rl.configs.train_config import AlgorithmConfig


class AlgorithmSettings(NamedTuple):
    """An algorithm's, and those elsewhere in the tree that belong to them; None: as they are."""

    algo: AlgorithmConfig
    num_envs: int | None = None
    buffer_size: int | None = None
    warmup_steps: int | None = None
    steering: str | None = None

    def elsewhere(self) -> dict[str, Any]:
        """All but the algorithm, from the top of the tree."""
        runner = {"buffer_size": self.buffer_size, "warmup_steps": self.warmup_steps}
        sections = {"runner": given(runner), "simulator": given({"steering": self.steering})}
        return given({"num_envs": self.num_envs}) | {k: x for k, x in sections.items() if x}


def given(values: dict[str, Any]) -> dict[str, Any]:
    """Those that are not None."""
    return {name: value for name, value in values.items() if value is not None}


SETTINGS = {
    "sac": AlgorithmSettings(
        SACConfig(
            batch_size=256,
            replay_ratio=1 / 64,
            n_step=5,
            tau=0.01,
            gamma=0.97,
            normalize_obs=True,
            init_alpha=0.2,
            lr_end_factor=0.0,
            average_decay=0.999,
            grad_norms=True,
        ),
        num_envs=256,
        buffer_size=200_000,
        warmup_steps=20_000,
    ),
    "sac_vmax": AlgorithmSettings(
        SACConfig(
            batch_size=64,
            replay_ratio=0.25,
            autotune_alpha=False,
            init_alpha=0.2,
            grad_norms=True,
        ),
        num_envs=16,
        buffer_size=100_000,
        warmup_steps=1_600,
        steering="curvature",
    ),
    "ppo": AlgorithmSettings(
        PPOConfig(
            hidden_sizes=(256, 256),
            activation="relu",
            shared_backbone=True,
            n_steps=64,
            n_minibatches=8,
            n_epochs=4,
            lr=1e-3,
            lr_end=0.0,
            gamma=0.98,
            ent_coef=0.01,
            normalize_obs=True,
        ),
        num_envs=256,
    ),
    "ppo_vmax": AlgorithmSettings(
        PPOConfig(
            hidden_sizes=(256, 64, 32),
            n_steps=1280,
            n_minibatches=4,
            n_epochs=4,
            lr=3e-4,
            gamma=0.99,
            ent_coef=0.01,
        ),
        num_envs=16,
        steering="curvature",
    ),
    "bc": AlgorithmSettings(
        BCConfig(
            hidden_sizes=(256, 256),
            lr=1e-3,
            lr_end=0.0,
            batch_size=256,
            replay_ratio=1 / 16,
            expert_noise=0.1,
            normalize_obs=True,
        ),
        num_envs=256,
        buffer_size=200_000,
        warmup_steps=20_000,
    ),
    "bc_vmax": AlgorithmSettings(
        BCConfig(
            hidden_sizes=(256, 64, 32),
            activation="tanh",
            lr=1e-4,
            batch_size=64,
            replay_ratio=0.5,
        ),
        num_envs=16,
        buffer_size=1_000_000,
        warmup_steps=1_600,
        steering="curvature",
    ),
    "bc_sac": AlgorithmSettings(
        BCSACConfig(
            hidden_sizes=(256, 256),
            batch_size=256,
            replay_ratio=1 / 64,
            n_step=5,
            tau=0.01,
            gamma=0.97,
            actor_lr=3e-4,
            critic_lr=3e-4,
            lr_end_factor=0.0,
            lr=1e-3,
            lr_end=0.0,
            imitation_every=4,
            expert_noise=0.1,
            normalize_obs=True,
            autotune_alpha=True,
            average_decay=0.999,
            grad_norms=True,
        ),
        num_envs=256,
        buffer_size=200_000,
        warmup_steps=20_000,
    ),
    "bc_sac_vmax": AlgorithmSettings(
        BCSACConfig(replay_ratio=0.25, grad_norms=True),
        num_envs=16,
        buffer_size=500_000,
        warmup_steps=50_000,
        steering="curvature",
    ),
}
"""By the name of an option of `algorithm`. Those of V-Max end in _vmax."""
