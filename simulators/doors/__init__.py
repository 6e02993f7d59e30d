"""Simulated furnace doors."""
