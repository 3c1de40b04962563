"""Experiments in the simulator that begin with a goal image and without demonstrations."""
