"""The lab database: what is true of matter, devices and people's decisions."""
