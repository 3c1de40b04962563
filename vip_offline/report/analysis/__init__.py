"""Is a reward any good? Reads a labelled store. Writes numbers, figures, a page and films."""
