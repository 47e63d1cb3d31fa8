"""Trains HackMatrix: python scripts/train_hackmatrix.py --num-envs 256 --no-wandb."""

import sys

from vibe_rl.cli import main

if __name__ == "__main__":
    main(["train-hackmatrix", *sys.argv[1:]])
