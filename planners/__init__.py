"""Planners: what to make, from what, and what to try next."""
