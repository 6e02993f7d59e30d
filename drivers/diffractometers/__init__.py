"""Diffractometers."""
