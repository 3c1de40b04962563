"""Importers: read demonstrations in other formats and write them into a store."""
