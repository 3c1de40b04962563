"""Frozen visual encoders: reads frames, writes the store's ``embeddings/<encoder>/<camera>``."""
