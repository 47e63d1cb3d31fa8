"""Scenarios: their arrays, the rules that these keep, and banks of them."""
