"""The HTTP face of a running laboratory, and the lab page."""
