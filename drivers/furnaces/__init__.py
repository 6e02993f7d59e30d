"""Furnaces."""
