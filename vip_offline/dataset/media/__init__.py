"""Reads videos and pictures as upright RGB frames; writes mp4."""
