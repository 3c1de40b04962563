"""Reads videos, writes encoders (Algorithm 1)."""
