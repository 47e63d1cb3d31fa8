"""Draws reward curves: python scripts/plot_rewards.py --run-dirs RUN RUN --output curves.png."""

import sys

from vibe_rl.cli import main

if __name__ == "__main__":
    main(["plot", *sys.argv[1:]])
