"""What the planning commands plan with: powders, furnaces and a doser."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from alab.errors import BadInput
from alab.models import Atmosphere, FiringLimits

PLENTY_MG = 1e6
_DEFAULT_LIMITS = FiringLimits(
    max_temperature_c=1100.0,
    max_ramp_c_per_min=15.0,
    atmospheres=(Atmosphere.AIR, Atmosphere.O2, Atmosphere.N2, Atmosphere.AR),
)
"""A common box or tube furnace, where no lab file says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What there is to plan with.

    Attributes:
        shelf: Milligrams of each powder.
        limits: What the furnaces can do.
        dose_resolution_mg: Masses are multiples of this.
        min_dose_mg: Smallest mass the doser delivers.
    """

    shelf: dict[str, float]
    limits: FiringLimits = _DEFAULT_LIMITS
    dose_resolution_mg: float = 0.1
    min_dose_mg: float = 5.0


def read_bench(shelf: str | None, lab: Path | None) -> Bench:
    """The powders named, else those of the lab file, else the common ones.

    Args:
        shelf: Formulas with commas between, or a file with one a line.
        lab: Lab file; its furnaces and doser set the limits.

    Raises:
        BadInput: If a file cannot be read, or a formula is none.
    """
    from planners.synthesis.common_powders import COMMON_POWDERS

    bench = Bench(shelf=dict.fromkeys(COMMON_POWDERS, PLENTY_MG)) if lab is None else _of(lab)
    if shelf is None:
        return bench
    return replace(bench, shelf=dict.fromkeys(_on_shelf(shelf), PLENTY_MG))


def named_formulas(words: Iterable[str]) -> list[str]:
    """Formulas without what stands around them, in their plain form.

    Raises:
        BadInput: If one is no formula.
    """
    from planners.synthesis.screen import check_formula

    return [check_formula(word) for word in words if word.strip()]


def _on_shelf(shelf: str) -> list[str]:
    path = Path(shelf)
    is_file = os.path.isfile(path)  # noqa: PTH113 - Path.is_file raises where a list is long
    is_file = is_file or path.suffix.lower() in (".txt", ".csv")
    words = _lines(path) if is_file else shelf.split(",")
    named = named_formulas(words)
    if not named:
        raise BadInput(f"--shelf {shelf!r} names no powder; write it like BaCO3,TiO2")
    return named


def _lines(path: Path) -> list[str]:
    """First column of a file, without comments and a heading."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot read the shelf {path}: {error}") from error
    words = [line.partition("#")[0].split(",")[0].strip() for line in lines]
    return [word for word in words if word.lower() != "formula"]


def _of(file: Path) -> Bench:
    from alab.lab import Capability, load_lab
    from drivers.catalog import KINDS

    lab = load_lab(file, KINDS)
    each = [lab.firing_limits(name) for name in lab.devices_with(Capability.FURNACE, KINDS)]
    bench = Bench(
        shelf={formula: jar.mass_g * 1000.0 for formula, jar in lab.precursors.items()},
        limits=FiringLimits.of_all(each) if each else _DEFAULT_LIMITS,
    )
    for name in lab.devices_with(Capability.DOSER, KINDS)[:1]:
        doser = lab.devices[name]
        bench = replace(
            bench, dose_resolution_mg=doser.resolution_mg, min_dose_mg=doser.min_dose_mg
        )
    return bench
