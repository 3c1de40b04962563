"""Reads a labelled store. Writes policy folders; nothing here steps an environment."""
