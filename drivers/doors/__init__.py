"""Furnace doors."""
