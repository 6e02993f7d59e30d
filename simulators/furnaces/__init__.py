"""Simulated furnaces."""
