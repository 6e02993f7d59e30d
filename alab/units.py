"""Units live in names; these are the few conversions between them.

Numbers that cross a boundary (argument, field, column, JSON key, log) carry their unit:
``temperature_c``, ``ramp_c_per_min``, ``dwell_s``, ``mass_mg``, ``two_theta_deg``,
``d_spacing_ang``, ``energy_ev_per_atom``. Plain floats and arrays inside.
"""

ZERO_CELSIUS_K = 273.15


def c_to_k(temperature_c: float) -> float:
    """Convert degrees Celsius to kelvin."""
    return temperature_c + ZERO_CELSIUS_K


def k_to_c(temperature_k: float) -> float:
    """Convert kelvin to degrees Celsius."""
    return temperature_k - ZERO_CELSIUS_K


def duration(seconds: float) -> str:
    """Write a duration as people say it: ``45 s``, ``9 min``, ``4 h 05 min``, ``2 d 3 h``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if minutes < 60:
        return f"{minutes} min"
    if days < 1:
        return f"{hours} h {minutes % 60:02d} min"
    return f"{days} d {hours % 24} h"
