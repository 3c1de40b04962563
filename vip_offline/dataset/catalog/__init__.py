"""Data sets that are known: reads their cards, writes what it fetches."""
