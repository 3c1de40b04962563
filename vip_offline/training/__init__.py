"""Reads a labelled store, writes policy folders; nothing here steps an environment."""
