"""Storage layer below the store: shards, checksums, file states, untrusted zarr."""
