"""Stages one after the other: reads recipes, writes stores, policies, comparisons and pages."""
