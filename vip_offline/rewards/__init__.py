"""Reads embeddings, writes the store's ``labels/<name>/{reward,distance}`` (Eq. 1)."""
