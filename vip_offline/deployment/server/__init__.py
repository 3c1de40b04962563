"""Reads a policy folder and observations from a socket. Writes guarded actions back to it."""
