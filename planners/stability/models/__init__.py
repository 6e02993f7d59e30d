"""Learned formation energies: of structures and of compositions."""
