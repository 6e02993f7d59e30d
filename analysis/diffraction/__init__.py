"""Powder diffraction: patterns, phases, refinement, verdict."""
