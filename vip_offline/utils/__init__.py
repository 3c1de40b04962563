"""Shared by all packages: atomic files, downloads, console, processes, size limits."""
