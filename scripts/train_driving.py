"""Trains drivers of scenarios: python scripts/train_driving.py algorithm=sac total_timesteps=1e6."""

import sys

from vibe_rl.cli import main

if __name__ == "__main__":
    main(["driving", "train", *sys.argv[1:]])
