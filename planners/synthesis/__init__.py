"""Recipes: thermodynamics, reactions, precursors, temperatures."""
