"""Trains a preset: python scripts/train.py cartpole_ppo --algo.lr 1e-3."""

import sys

from vibe_rl.cli import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]])
