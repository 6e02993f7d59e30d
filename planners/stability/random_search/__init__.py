"""Sensible random structures of compositions that may be stable, as in AIRSS."""
