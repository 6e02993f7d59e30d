"""How much hotter or longer a half-finished reaction has to be fired.

Diffusion through a growing product layer follows Jander's law, with an Arrhenius rate::

    (1 − (1 − x)^(1/3))² = k₀ · exp(−Eₐ / RT) · t

(Jander, Z. anorg. allg. Chem. 163, 1, 1927). From the converted fraction x after a time t
at T follows the temperature that brings it to x₂ in t₂.
"""

import math
from collections.abc import Sequence

from alab.units import c_to_k, k_to_c
from planners.synthesis.thermo import GAS_CONSTANT_KJ_PER_MOL_K

TYPICAL_ACTIVATION_KJ_PER_MOL = 300.0
"""Cation diffusion in oxides lies at 200 to 450 kJ/mol."""

_ACTIVATION_RANGE_KJ_PER_MOL = (150.0, 600.0)
_LEAST, _MOST = 0.01, 0.98


def jander(converted: float) -> float:
    """Jander's function of a converted fraction, 0 to 1."""
    return (1 - (1 - min(max(converted, 0.0), 1.0)) ** (1 / 3)) ** 2


def temperature_for(
    *,
    wanted: float,
    wanted_s: float,
    converted: float,
    temperature_c: float,
    dwell_s: float,
    activation_kj_per_mol: float = TYPICAL_ACTIVATION_KJ_PER_MOL,
) -> float:
    """Temperature, in °C, at which a reaction gets to ``wanted`` in ``wanted_s``.

    Args:
        wanted: Converted fraction to reach.
        wanted_s: Dwell it may take.
        converted: Fraction found; taken as 1 % where less.
        temperature_c: Where it was fired.
        dwell_s: How long.
        activation_kj_per_mol: Activation energy of diffusion.
    """
    found = jander(min(max(converted, _LEAST), _MOST))
    rate_ratio = jander(wanted) / found * dwell_s / wanted_s
    inverse = 1 / c_to_k(temperature_c) - (
        GAS_CONSTANT_KJ_PER_MOL_K / activation_kj_per_mol * math.log(rate_ratio)
    )
    return k_to_c(1 / inverse) if inverse > 0 else math.inf


def activation_kj_per_mol(seen: Sequence[tuple[float, float, float]]) -> float:
    """Activation energy from firings of the same powders at different temperatures.

    Args:
        seen: Temperature in °C, dwell in s and converted fraction of each firing.

    Returns:
        The slope between the coldest and the hottest usable firing, within the range of
        oxides; the typical value where no two can be compared.
    """
    usable = sorted(s for s in seen if _LEAST < s[2] < _MOST and s[1] > 0)
    if len(usable) < 2 or usable[-1][0] - usable[0][0] < 25:
        return TYPICAL_ACTIVATION_KJ_PER_MOL
    (cold_c, cold_s, cold_x), (hot_c, hot_s, hot_x) = usable[0], usable[-1]
    rate_ratio = (jander(hot_x) / hot_s) / (jander(cold_x) / cold_s)
    spread = 1 / c_to_k(cold_c) - 1 / c_to_k(hot_c)
    slope = GAS_CONSTANT_KJ_PER_MOL_K * math.log(rate_ratio) / spread
    low, high = _ACTIVATION_RANGE_KJ_PER_MOL
    return min(max(slope, low), high)
