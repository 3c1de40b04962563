"""d3rlpy's algorithms and ours beside them. Reads transitions, writes learnables."""
