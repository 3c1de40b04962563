"""Demonstrations: the zarr store, importers from other formats, exporters, validation."""
