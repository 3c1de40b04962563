"""Reads a labelled store, writes the transitions that a policy learns from."""
