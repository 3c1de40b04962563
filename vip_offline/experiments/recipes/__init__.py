"""Recipes from their first stage to their last."""
