"""Firings for tests: made up, and those of the published YBCO table where it is there."""

import csv
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from alab.models import (
    Atmosphere,
    Attempt,
    Outcome,
    PhaseAmount,
    PrecursorAmount,
    Profile,
    Recipe,
    Segment,
    Verdict,
)
from planners.synthesis.thermo import reduced

YBCO = (
    Path(os.environ.get("ALAB_DATA", Path(__file__).parents[5] / "shared" / "data"))
    / "recipes"
    / "arrows_ybco"
)
TARGET = "Ba2YCu3O7"


def recipe(
    moles: Mapping[str, float],
    temperature_c: float,
    *,
    target: str = TARGET,
    score: float = 0.0,
    regrinds: int = 0,
    atmosphere: Atmosphere = Atmosphere.AIR,
) -> Recipe:
    segment = Segment(ramp_c_per_min=10, temperature_c=temperature_c, dwell_s=4 * 3600)
    return Recipe(
        target=target,
        precursors=tuple(
            PrecursorAmount(formula=name, moles=amount, mass_mg=1.0)
            for name, amount in moles.items()
        ),
        reaction="",
        profile=Profile(segments=(segment,)),
        score=score,
        regrinds=regrinds,
        atmosphere=atmosphere,
    )


def outcome(
    fractions: Mapping[str, float],
    *,
    target: str = TARGET,
    target_fraction: float | None = None,
    esd: float = 0.0,
    verdict: Verdict | None = None,
    unexplained: float = 0.0,
) -> Outcome:
    share = fractions.get(target, 0.0) if target_fraction is None else target_fraction
    if verdict is None:
        verdict = Verdict.SUCCESS if share > 0.995 else Verdict.PARTIAL
    return Outcome(
        verdict=verdict,
        target_weight_fraction=share,
        target_weight_fraction_esd=esd,
        phases=tuple(
            PhaseAmount(
                formula=name,
                reference="",
                space_group="",
                weight_fraction=fraction,
                weight_fraction_esd=esd,
            )
            for name, fraction in fractions.items()
        ),
        r_wp_percent=5.0,
        unexplained_fraction=unexplained,
    )


def needs_ybco() -> None:
    if not YBCO.is_dir():
        pytest.skip(f"no YBCO table under {YBCO}; set ALAB_DATA to the data folder")


def ybco_sets() -> dict[frozenset[str], tuple[dict[str, float], float]]:
    """Precursor set → moles of each, and −ΔG in eV/atom."""
    sets: dict[frozenset[str], tuple[dict[str, float], float]] = {}
    for row in rows("Rxn_TD.csv"):
        names = [reduced(name) for name in row["Precursors"].split(" + ")]
        moles = dict(zip(names, map(float, row["Amounts"].split(" + ")), strict=True))
        sets[frozenset(names)] = moles, -float(row["Reaction energy (meV/atom)"]) / 1000
    return sets


def ybco_phases() -> dict[tuple[frozenset[str], float], dict[str, float]]:
    """Precursor set and temperature → weight fractions, where the log has them."""
    found: dict[tuple[frozenset[str], float], dict[str, float]] = {}
    for row in rows("ybco_products_from_log.csv"):
        names = [reduced(name) for name in row["products"].split("; ")]
        shares = map(float, row["weight_fractions"].split("; "))
        key = powders(row["precursors"]), float(row["temperature_C"])
        found[key] = dict(zip(names, shares, strict=True))
    return found


def ybco_attempts() -> list[Attempt]:
    sets = ybco_sets()
    return [
        Attempt(
            sample=f"{' '.join(sorted(names))} {temperature_c:g}",
            recipe=recipe(sets[names][0], temperature_c),
            outcome=outcome(fractions),
        )
        for (names, temperature_c), fractions in ybco_phases().items()
    ]


def powders(text: str) -> frozenset[str]:
    return frozenset(reduced(name) for name in text.split(", "))


def rows(name: str) -> Iterator[dict[str, str]]:
    with (YBCO / name).open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)
