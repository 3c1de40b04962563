"""Failures that move as cleanly as the expert: only what became of the object tells them apart."""
