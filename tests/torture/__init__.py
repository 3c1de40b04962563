"""Faults at random moments over every command that writes, and one oracle for what is left.

``python -m tests.torture --help`` runs it at length; `test_torture.py` is the short form.
"""
