"""Checks of data sets and stores: findings on numbers, frames, videos and labels."""
