"""Drivers: one file a device, turning intent into bytes and back."""
