"""Is a reward any good? Reads a labelled store, writes numbers."""
