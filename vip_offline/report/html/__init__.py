"""Reads numbers, writes one HTML file that needs nothing else."""
