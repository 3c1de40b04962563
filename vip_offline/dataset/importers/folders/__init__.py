"""Reads folders of videos, pictures and tables; writes nothing."""
