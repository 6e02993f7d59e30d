"""Simulated devices and the world they share; nothing in production imports them."""
