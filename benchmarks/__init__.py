"""One module per claim of speed: ``python -m benchmarks.NAME [--quick]``."""
