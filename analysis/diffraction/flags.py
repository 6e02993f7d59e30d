"""What makes amounts or identities doubtful, in sentences: flags, not corrections."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from pymatgen.core import Composition, Element
from rietx.optimize.qpa import BRINDLEY_MU_R_FENCE

from analysis.diffraction.amounts import Amounts
from analysis.diffraction.library import Reference
from analysis.diffraction.profile import LOG_MARCH
from analysis.diffraction.refine import Fit
from analysis.diffraction.result import Contribution

NOTABLE_SHARE = 0.05
"""Weight fraction of a phase from which its texture and its size are worth a sentence."""
NOTABLE_MICROABSORPTION = 0.05
"""Logarithm of Brindley's factor from which it is."""
STRONG_TEXTURE = 0.3
"""Logarithm of March's r from which texture is strong."""
SMALL_NM = 10.0
"""Crystallite size below which lines run into each other and the background."""
VEGARD = 0.008
"""Relative change of a cell edge that speaks for a solid solution."""
MOST_STRAIN = 0.035
"""Isotropic strain at which the refinement stops."""
FAINT = 4.0
"""How many times less a phase of light elements scatters than another of the same mass."""

_LIGHT = 9  # fluorine


def flags_of(
    fit: Fit,
    amounts: Amounts,
    present: Sequence[Reference],
    parts: Mapping[int, Contribution],
    particle_diameter_um: float,
) -> tuple[str, ...]:
    """Sentences on what to be careful with.

    Args:
        fit: Refined phases.
        amounts: Their weight fractions.
        present: Their structures.
        parts: What each contributes that is there, by its place in the fit.
        particle_diameter_um: That was assumed.
    """
    return (
        *_microabsorption(fit, amounts, present, particle_diameter_um),
        *_texture(fit, amounts, present),
        *_sizes(amounts, parts),
        *_cells(present, parts),
        *_faint(amounts, present),
    )


def _microabsorption(
    fit: Fit, amounts: Amounts, present: Sequence[Reference], particle_diameter_um: float
) -> Iterator[str]:
    strong = np.abs(np.log(amounts.tau)) > NOTABLE_MICROABSORPTION
    doubtful = np.flatnonzero(strong & amounts.coarse & (amounts.fractions > 0)).tolist()
    if not doubtful:
        return
    names = ", ".join(f"{present[i].formula} (factor {amounts.tau[i]:.2f})" for i in doubtful)
    thickest_cm = BRINDLEY_MU_R_FENCE / max(fit.lines[i].absorption_per_cm for i in doubtful)
    yield (
        "Amounts are unreliable by microabsorption unless the particles are smaller than "
        f"{2e4 * thickest_cm:.1f} µm: {names}, taken to be {particle_diameter_um:g} µm, "
        "absorbs otherwise than its surroundings. Grind finer, or give the measured diameter."
    )


def _texture(fit: Fit, amounts: Amounts, present: Sequence[Reference]) -> Iterator[str]:
    for i, reference in enumerate(present):
        log_march = float(fit.phases[i, LOG_MARCH])
        if abs(log_march) > STRONG_TEXTURE and amounts.fractions[i] >= NOTABLE_SHARE:
            axis = " ".join(f"{index:g}" for index in fit.axes[i])
            form = "plates" if log_march < 0 else "needles"
            yield (
                f"{reference.formula} is strongly textured ({form} along {axis}, March r = "
                f"{np.exp(log_march):.2f}): its amount is less sure. Load it from the side, or "
                "spin and grind it."
            )


def _sizes(amounts: Amounts, parts: Mapping[int, Contribution]) -> Iterator[str]:
    for i, part in parts.items():
        small = part.size_nm is not None and part.size_nm < SMALL_NM
        if small and amounts.fractions[i] >= NOTABLE_SHARE:
            yield (
                f"The crystallites of {part.formula} are small, {part.size_nm:.0f} nm: its "
                "broad lines cannot be told from background and glass with certainty."
            )


def _cells(present: Sequence[Reference], parts: Mapping[int, Contribution]) -> Iterator[str]:
    for i, part in parts.items():
        reference = present[i]
        if abs(part.strain_percent) > 99 * MOST_STRAIN:
            yield (
                f"The cell of {part.formula} differs from {reference.stem} by "
                f"{part.strain_percent:+.1f} %, the most that is tried: it may be another "
                "phase."
            )
            continue
        change = np.array(part.cell[:3]) / reference.crystal().cell[:3] - 1
        edge = int(np.argmax(np.abs(change)))
        if abs(change[edge]) > VEGARD:
            yield (
                f"The cell of {part.formula} differs from {reference.stem} "
                f"({'abc'[edge]} {100 * change[edge]:+.1f} %): after Vegard's law it may be a "
                "solid solution, of another composition than the formula says."
            )


def _faint(amounts: Amounts, present: Sequence[Reference]) -> Iterator[str]:
    strength = np.array([_scattering(reference.formula) for reference in present])
    for i, reference in enumerate(present):
        light = all(Element(e).Z <= _LIGHT for e in reference.elements)
        ratio = float(np.max(np.where(amounts.fractions > 0, strength, 0.0)) / strength[i])
        if light and ratio > FAINT and amounts.fractions[i] > 0:
            yield (
                f"{reference.formula} has light elements only and scatters {ratio:.0f} times "
                "less for its mass than what stands beside it: small amounts of it would not "
                "be seen."
            )


def _scattering(formula: str) -> float:
    """Σ Z² over the mass: what a gram scatters, about."""
    composition = Composition(formula)
    squares = sum(n * Element(e).Z ** 2 for e, n in composition.get_el_amt_dict().items())
    return squares / float(composition.weight)
