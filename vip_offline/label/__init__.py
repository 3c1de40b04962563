"""Reads embeddings. Writes the store's ``labels/<name>/{reward,distance}``."""
