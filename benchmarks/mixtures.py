"""Simulated mixtures with all that makes powder patterns hard, drawn from a seed.

What is drawn: one to five embedded structures of few elements, 0.5 to 95 wt %; displacement
up to ±0.2 mm; cells up to ±3 % larger or smaller; crystallites of 5 to 300 nm; March–Dollase
texture along c*; residual Kβ; glass of up to 40 %; counting noise; and phases that are hidden
from the candidates. The candidates are all embedded structures of the elements of the
mixture, and of as many others as make about twenty, so that the decoys are other compounds
of the same elements.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis.diffraction.library import STRUCTURES, Reference, embedded

AIR_ELEMENTS = frozenset({"O", "C", "H"})
MOST_PHASES = 5
MOST_METALS = 4
LEAST_WEIGHT, MOST_WEIGHT = 0.005, 0.95
HIDDEN_WEIGHT = 0.05
"""A hidden phase has at least this share."""
TRACE_WEIGHT = 0.02
LEAST_CANDIDATES = 20
RIETX_SHARE = 0.2
"""Share of patterns drawn by rietx; the rest is drawn by xrayutilities."""

MOST_STRAIN, MOST_DISPLACEMENT_MM = 0.03, 0.2
MICROSTRAINS_PERCENT = (0.02, 0.06, 0.12)


def cif_of(reference: Reference) -> Path:
    """The file of an embedded structure."""
    return STRUCTURES / f"{reference.stem}.cif"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown:
    """One phase of a simulated mixture.

    Attributes:
        reference: Its structure.
        weight: Its share of the crystalline part, 0 to 1.
        strain: Change of its cell, Δd/d.
        size_nm: Size of its crystallites.
        microstrain_percent: Spread of d, full width.
        march: March–Dollase parameter along c*; 1 for none, below 1 for plates.
    """

    reference: Reference
    weight: float
    strain: float
    size_nm: float
    microstrain_percent: float
    march: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """A simulated mixture and its measurement.

    Attributes:
        number: Its place in the series.
        noise_seed: Of its counting noise.
        engine: ``xrayutilities`` or ``rietx``: what draws its lines.
        phases: What it holds, largest first.
        extra_elements: Elements that it is said to hold besides its own, and does not.
        hidden: Which phase is not among the candidates; None for none.
        displacement_mm: Of the surface.
        kbeta: Kβ over Kα₁.
        glass: Share of glass in the volume.
        glass_two_theta_deg: Where its hump stands.
        strongest: Counts of the highest point above background.
        background: Counts of the flat background.
    """

    number: int
    noise_seed: int
    engine: str
    phases: tuple[Grown, ...]
    extra_elements: frozenset[str]
    hidden: int | None
    displacement_mm: float
    kbeta: float
    glass: float
    glass_two_theta_deg: float
    strongest: float
    background: float

    @property
    def elements(self) -> frozenset[str]:
        """Elements it is said to hold."""
        own = frozenset().union(*(phase.reference.elements for phase in self.phases))
        return own | self.extra_elements

    @property
    def visible(self) -> tuple[Grown, ...]:
        """Phases that are among the candidates."""
        return tuple(p for i, p in enumerate(self.phases) if i != self.hidden)

    def candidates(self) -> list[Reference]:
        """Embedded structures of these elements without the hidden one."""
        hidden = None if self.hidden is None else self.phases[self.hidden].reference.stem
        return [r for r in _made_of(self.elements) if r.stem != hidden]

    @property
    def hazards(self) -> frozenset[str]:
        """What makes it hard, by name."""
        phases = self.phases
        named = {
            "displaced over 0.1 mm": abs(self.displacement_mm) > 0.1,
            "strained over 0.5 %": any(abs(p.strain) > 0.005 for p in phases),
            "strained over 1 %": any(abs(p.strain) > 0.01 for p in phases),
            "below 15 nm": any(p.size_nm < 15 for p in phases),
            "textured": any(not 0.8 <= p.march <= 1.25 for p in phases),
            "Kβ": self.kbeta > 0,
            "glass": self.glass > 0,
            "below 2 wt %": any(p.weight < TRACE_WEIGHT for p in phases),
            "missing phase": self.hidden is not None,
            "few counts": self.strongest < 6000,
            "drawn by rietx": self.engine == "rietx",
            **{f"{n} phases": len(phases) == n for n in range(1, MOST_PHASES + 1)},
        }
        return frozenset(name for name, there in named.items() if there)


def draw_mixtures(count: int, seed: int) -> list[Mixture]:
    """The first mixtures of the series of a seed."""
    return [_mixture(number, np.random.default_rng([seed, number])) for number in range(count)]


def _mixture(number: int, rng: np.random.Generator) -> Mixture:
    references = _compounds(int(rng.integers(1, MOST_PHASES + 1)), rng)
    weights = _weights(len(references), rng)
    grown = [_grown(r, w, rng) for r, w in zip(references, weights, strict=True)]
    chosen = int(rng.integers(len(grown)))
    grown[chosen] = _hard(grown[chosen], rng)
    phases = tuple(sorted(grown, key=lambda phase: -phase.weight))
    can_hide = [i for i, phase in enumerate(phases) if phase.weight >= HIDDEN_WEIGHT]
    hide = len(phases) > 1 and rng.random() < 0.25
    far = rng.random() < 0.5
    return Mixture(
        number=number,
        noise_seed=int(rng.integers(2**32)),
        engine="rietx" if rng.random() < RIETX_SHARE else "xrayutilities",
        phases=phases,
        extra_elements=_extra(references, rng),
        hidden=int(rng.choice(can_hide)) if hide else None,
        displacement_mm=float(
            rng.uniform(-MOST_DISPLACEMENT_MM, MOST_DISPLACEMENT_MM)
            if far
            else np.clip(rng.normal(0.0, 0.04), -0.1, 0.1)
        ),
        kbeta=float(rng.uniform(0.005, 0.02)) if rng.random() < 0.3 else 0.0,
        glass=float(rng.uniform(0.05, 0.4)) if rng.random() < 0.3 else 0.0,
        glass_two_theta_deg=float(rng.uniform(20.0, 32.0)),
        strongest=float(math.exp(rng.uniform(math.log(2_500), math.log(40_000)))),
        background=float(rng.uniform(80.0, 500.0)),
    )


def _compounds(count: int, rng: np.random.Generator) -> list[Reference]:
    """Different structures that share elements."""
    pool = embedded()
    chosen = [pool[int(rng.integers(len(pool)))]]
    while len(chosen) < count:
        near = [r for r in pool if r not in chosen and _metals([*chosen, r]) <= MOST_METALS]
        shared = [r for r in near if r.elements & chosen[0].elements - AIR_ELEMENTS]
        choice = shared if shared and rng.random() < 0.8 else near
        chosen.append(choice[int(rng.integers(len(choice)))])
    return chosen


def _made_of(elements: frozenset[str]) -> list[Reference]:
    return [r for r in embedded() if r.elements <= elements | AIR_ELEMENTS]


def _extra(references: Sequence[Reference], rng: np.random.Generator) -> frozenset[str]:
    """Elements that bring the candidates to a number worth searching."""
    own = frozenset().union(*(r.elements for r in references))
    others = sorted(frozenset().union(*(r.elements for r in embedded())) - own - AIR_ELEMENTS)
    extra: frozenset[str] = frozenset()
    for symbol in rng.permutation(others):
        if len(_made_of(own | extra)) >= LEAST_CANDIDATES:
            break
        extra |= {str(symbol)}
    return extra


def _metals(references: Sequence[Reference]) -> int:
    return len(frozenset().union(*(r.elements for r in references)) - AIR_ELEMENTS)


def _weights(count: int, rng: np.random.Generator) -> list[float]:
    """Shares that sum to 1, for several phases each within 0.5 to 95 wt %."""
    if count == 1:
        return [1.0]
    while True:
        shares = rng.dirichlet(np.full(count, 0.7))
        if shares.min() >= LEAST_WEIGHT and shares.max() <= MOST_WEIGHT:
            return [float(share) for share in shares]


def _grown(reference: Reference, weight: float, rng: np.random.Generator) -> Grown:
    return Grown(
        reference=reference,
        weight=weight,
        strain=float(np.clip(rng.normal(0.0, 0.001), -0.003, 0.003)),
        size_nm=float(math.exp(rng.uniform(math.log(30), math.log(300)))),
        microstrain_percent=float(rng.choice(MICROSTRAINS_PERCENT)),
        march=float(np.clip(math.exp(rng.normal(0.0, 0.06)), 0.85, 1.2)),
    )


def _hard(phase: Grown, rng: np.random.Generator) -> Grown:
    """A phase that may be strained, small or textured as well."""
    strained, small, textured = rng.random(3) < (0.3, 0.25, 0.3)
    strain = float(rng.uniform(-MOST_STRAIN, MOST_STRAIN)) if strained else phase.strain
    size_nm = float(math.exp(rng.uniform(math.log(5), math.log(15))))
    plates = float(rng.uniform(0.5, 0.8) if rng.random() < 0.5 else rng.uniform(1.25, 1.6))
    return Grown(
        reference=phase.reference,
        weight=phase.weight,
        strain=strain,
        size_nm=size_nm if small else phase.size_nm,
        microstrain_percent=phase.microstrain_percent,
        march=plates if textured else phase.march,
    )
