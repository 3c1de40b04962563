"""Reads a labelled store; writes it, with its rewards, in others' formats."""
