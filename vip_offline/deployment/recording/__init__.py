"""Reads what a robot streams, writes episodes of a store."""
