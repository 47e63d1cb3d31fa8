"""Boards and lists in few words of memory: cells as bits, and rows of slots."""
