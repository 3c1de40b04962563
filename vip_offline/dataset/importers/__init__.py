"""Reads an origin of demonstrations, writes it into a store."""
