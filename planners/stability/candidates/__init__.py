"""Candidates: known crystals with other elements, and where each came from."""
