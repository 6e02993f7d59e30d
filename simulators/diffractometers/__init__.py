"""Simulated diffractometers."""
