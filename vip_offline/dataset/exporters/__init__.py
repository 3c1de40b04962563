"""Exporters: write the episodes and rewards of a labelled store in other formats."""
