"""Reads results, writes tables of 80 columns."""
