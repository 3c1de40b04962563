"""Reads rewards, writes how much each transition counts."""
