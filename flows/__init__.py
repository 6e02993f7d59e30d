"""Flows: the order in which planners, devices and analysis are called."""
