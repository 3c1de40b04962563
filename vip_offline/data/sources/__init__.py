"""Reads data sets as others wrote them, one module per format; writes nothing."""
