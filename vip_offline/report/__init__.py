"""Reads outcomes of rollouts, weights and distances. Writes tables, figures, one HTML page."""
