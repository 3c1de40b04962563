"""Reads tables of numbers, whatever file they are in; writes nothing."""
