"""The peer for amounts: rietx's Rietveld refinement of phases that are known to be there.

The recipe is the usual one for a laboratory pattern, in the order of McCusker et al., J. Appl.
Cryst. 32 (1999) 36: scales and background, displacement, cells, Gaussian width, size and
strain of each phase, axial divergence. The zero of the goniometer is taken as right, and the
displacement factors stay as the CIFs state them: with both free, and U, V, X and Y beside the
size and strain of each phase, the refinement of mixtures ran into amounts that were 50 wt %
wrong. On the round robin with its six background terms the full plan of rietx's own
validation is used, dispersion on.
"""

from collections.abc import Sequence
from pathlib import Path

import rietx
from rietx.model.forward import seed_phase_scales
from rietx.schemas.instrument import BackgroundChebyshev
from rietx.viz.compare import qpa_plan

BACKGROUND_TERMS = 10
ROUND_ROBIN_TERMS = 6
LOWEST_TWO_THETA_DEG = 12.0

_START_SIZE_DEG = 0.02
_START_W_DEG2 = 2e-3


def weight_fractions(
    pattern: Path, cifs: Sequence[Path], *, radius_mm: float, monochromator_deg: float | None
) -> list[float]:
    """Weight fraction of each phase, 0 to 1, in the order of the CIFs.

    Args:
        pattern: The measured file.
        cifs: The structure of each phase.
        radius_mm: Radius of the goniometer.
        monochromator_deg: 2θ of a diffracted-beam monochromator, None without one; with one,
            the plan of rietx's round-robin validation is followed.

    Raises:
        ValueError: If the peer refuses its input, or finds no amounts.
    """
    data = rietx.read_pattern(pattern)
    instrument = rietx.Instrument.bragg_brentano(
        radiation="CuKa",
        goniometer_radius_mm=radius_mm,
        monochromator_two_theta=monochromator_deg,
    )
    if monochromator_deg is None:
        instrument.profile.w.value = _START_W_DEG2
    terms = BACKGROUND_TERMS if monochromator_deg is None else ROUND_ROBIN_TERMS
    instrument.background = BackgroundChebyshev.with_terms(terms)
    structure = _structure(cifs)
    seed_phase_scales(structure, instrument, data)
    found = rietx.Refinement(structure, instrument, history=False).fit(
        data,
        plan=_simple_plan() if monochromator_deg is None else qpa_plan(),
        two_theta_limits=None if monochromator_deg else (LOWEST_TWO_THETA_DEG, 180.0),
        telemetry=False,
    )
    if found.qpa is None:
        raise ValueError(f"rietx found no amounts in {pattern.name}")
    return [phase.weight_fraction or 0.0 for phase in found.qpa.phases]


def _structure(cifs: Sequence[Path]) -> rietx.Structure:
    phases = [rietx.Structure.from_cif(cif).phases[0] for cif in cifs]
    for number, phase in enumerate(phases):
        phase.name = f"phase {number}"
        phase.lor_size.value = _START_SIZE_DEG
    return rietx.Structure(phases=phases)


def _simple_plan() -> rietx.RefinementPlan:
    return rietx.RefinementPlan(
        stages=[
            rietx.Stage("scale_bkg", ["phases.*.scale", "instrument.background.*"]),
            rietx.Stage("disp", ["instrument.geometry.sample_displacement"]),
            rietx.Stage("cell", ["phases.*.cell.*"]),
            rietx.Stage("profile_w", ["instrument.profile.w"]),
            rietx.Stage("sample", ["phases.*.lor_size", "phases.*.lor_strain"]),
            rietx.Stage("axial", ["instrument.geometry.axial_sl"]),
        ]
    )
