"""The driving pipeline of seed 004: a tree of settings for Hydra, training, evaluation, sweeps."""
