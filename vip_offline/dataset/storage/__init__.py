"""Bytes on the disk: shards, checksums, states of files. Reads and writes zarr."""
