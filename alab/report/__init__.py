"""The campaign report: one HTML file that a scientist can send."""
