"""Reads demonstrations from wherever they come. Writes one zarr store."""
