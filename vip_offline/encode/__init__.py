"""Reads frames. Writes the store's ``embeddings/<encoder>/<camera>``."""
