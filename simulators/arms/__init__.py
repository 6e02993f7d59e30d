"""Simulated robot arms."""
