"""Reads numbers of an analysis or a comparison, writes figures, pages and tables."""
