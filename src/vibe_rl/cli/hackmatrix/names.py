"""The names that seed 003 has for metrics: one table, for trackers and for the console."""

from vibe_rl.env.hackmatrix.rules import PARTS
from vibe_rl.tracking.settings import TrackingSettings, WandbSettings

NAMES: dict[str, list[str]] = {
    "actor_loss": ["train/pg_loss"],
    "critic_loss": ["train/vf_loss"],
    "minus_entropy": ["train/ent_loss"],
    "total_loss": ["train/total_loss"],
    "entropy": ["train/entropy"],
    "approx_kl": ["train/approx_kl"],
    "clip_fraction": ["train/clip_frac"],
    "reward_mean": ["train/mean_reward", "key/mean_reward"],
    "episode_return_mean": ["train/mean_episode_return", "key/mean_episode_return"],
    "episode_length_mean": ["train/mean_episode_length", "key/mean_episode_length"],
    "episodes_per_update": ["train/num_episodes"],
    "updates_per_second": ["train/updates_per_second"],
    "update": ["train/update_step"],
    **{part: [f"reward/{part}"] for part in PARTS},
    **{f"{kind}_frac": [f"actions/{kind}_frac"] for kind in ("move", "siphon", "program")},
    "stage_max": ["stats/highest_stage"],
}
"""From ours to theirs."""


def _sums(batch: int) -> dict[str, dict[str, float]]:
    """What our rows have no metric of, as weighted sums of those that they have.

    Args:
        batch: env steps of an update.
    """
    return {
        "minus_entropy": {"entropy": -1.0},
        "reward_mean": dict.fromkeys(PARTS, 1.0),
        "updates_per_second": {"steps_per_second": 1.0 / batch},
    }


def settings_of_trackers(batch: int, wandb: WandbSettings | None = None) -> TrackingSettings:
    """What the trackers of a run are told; see `_sums`."""
    return TrackingSettings(NAMES, _sums(batch), wandb or WandbSettings())
