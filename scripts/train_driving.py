"""Trains drivers of scenarios: python scripts/train_driving.py algorithm=ppo seed=1."""

import sys

from vibe_rl.cli import main

if __name__ == "__main__":
    main(["driving", "train", *sys.argv[1:]])
