"""MaskablePPO of sb3-contrib on a Gymnasium environment with action masks: seed 003's slower path.

SB3's models are `.zip` files that run code when they are loaded, so load only those you trust.
"""

from vibe_rl.trainers.sb3.loading import MaskedPolicy, load_policy
from vibe_rl.trainers.sb3.settings import Settings
from vibe_rl.trainers.sb3.training import Outcome, train_masked_ppo

__all__ = ["MaskedPolicy", "Outcome", "Settings", "load_policy", "train_masked_ppo"]
