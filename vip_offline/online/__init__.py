"""Reinforcement learning by trial and error on a visual reward (paper, section 5.1)."""
