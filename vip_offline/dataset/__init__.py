"""Demonstrations: reads them from wherever they come, writes one zarr store."""
