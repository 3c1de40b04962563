"""Reads tables of numbers from CSV, JSON, npz, parquet and similar files."""
