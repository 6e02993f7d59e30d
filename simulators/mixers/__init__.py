"""Simulated mixers."""
