"""Reads a labelled store; writes it, with its rewards, in others' formats, one module per format.

What is written appears under its name when it is whole, and never in place of something else.
"""
