"""Reads data sets as other tools wrote them, one module per format; writes nothing."""
