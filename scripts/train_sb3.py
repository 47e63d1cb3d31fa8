"""Trains MaskablePPO on HackMatrix: python scripts/train_sb3.py --timesteps 100000 --no-wandb."""

import sys

from vibe_rl.cli import main

if __name__ == "__main__":
    main(["train-sb3", *sys.argv[1:]])
