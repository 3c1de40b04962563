"""Reads numbers, writes figures: each function draws on the Axes it is given."""
