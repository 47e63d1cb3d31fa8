"""Figures of a training, and the panels that they are made of."""
