"""Reinforcement-learning training in JAX."""
