"""Reads a source or a store; writes what is wrong with it."""
