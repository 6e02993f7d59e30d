"""Analysis of patterns that another engine made: rietx or xrayutilities, never this one."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pymatgen.io.cif import CifWriter

from alab.errors import BadInput
from alab.models import Outcome, Verdict
from analysis.diffraction.analyze import analyze, quantify
from analysis.diffraction.beam import ANODES
from analysis.diffraction.crystal import Crystal, structure_of
from analysis.diffraction.library import STRUCTURES, default_cifs, embedded
from analysis.diffraction.parent import disordered_parents
from analysis.diffraction.pattern import Pattern
from analysis.diffraction.plot import MOST_POINTS, figure
from analysis.diffraction.profile import Instrument
from analysis.diffraction.result import Analysis

xu = pytest.importorskip("xrayutilities")

ANGLE = np.arange(15.0, 70.0, 0.03)


def _peaks(formula: str) -> np.ndarray:
    """Powder lines of xrayutilities per gram of a phase, with Kα₂ and a width of 0.09°."""
    return _peaks_of(default_cifs()[formula])


CU = (1.5405929, 1.5444274)


def _peaks_of(
    cif: Path,
    angle: np.ndarray = ANGLE,
    fwhm_deg: float = 0.09,
    doublet_ang: tuple[float, float] = CU,
) -> np.ndarray:
    crystal = xu.materials.Crystal.fromCIF(str(cif))
    powder = xu.simpack.Powder(crystal, 1)
    diffraction = xu.simpack.PowderDiffraction(
        powder, tt_cutoff=75, enable_simulation=False, wl=doublet_ang[0]
    )
    total = np.zeros(len(angle))
    for line in diffraction.data.values():
        sin = np.sin(np.radians(line["ang"]))
        for wavelength_ang, share in zip(doublet_ang, (1.0, 0.5), strict=True):
            place = 2 * np.degrees(np.arcsin(sin * wavelength_ang / doublet_ang[0]))
            x = (angle - place) / fwhm_deg
            gauss = np.exp(-4 * np.log(2) * x**2) * (4 * np.log(2) / np.pi) ** 0.5
            area = share * line["r"] * 0.09 / fwhm_deg
            total += area * (0.5 * gauss + (1 / np.pi) / (1 + 4 * x**2))
    return total / crystal.density


_MADE: dict[str, np.ndarray] = {}


def mixture(weights: dict[str, float], seed: int, strongest: float = 6000.0) -> Pattern:
    """A noisy pattern of weighed-in phases on a background that falls with the angle."""
    for formula in weights:
        if formula not in _MADE:
            _MADE[formula] = _peaks(formula)
    net = np.sum([share * _MADE[formula] for formula, share in weights.items()], axis=0)
    expected = strongest * net / net.max() + 80 + 1500 / ANGLE
    counts = np.random.default_rng(seed).poisson(expected).astype(float)
    return Pattern(
        two_theta_deg=ANGLE,
        counts=counts,
        esd=np.sqrt(np.maximum(counts, 1)),
        wavelength_stated=True,
        sample="S0001",
        origin="synthetic",
    )


@pytest.mark.parametrize(
    ("weights", "elements", "target", "verdict"),
    [
        ({"BaTiO3": 0.7, "BaCO3": 0.2, "TiO2": 0.1}, "Ba,Ti,O", "BaTiO3", Verdict.SUCCESS),
        ({"ZnFe2O4": 0.3, "ZnO": 0.3, "Fe2O3": 0.4}, "Zn,Fe,O", "ZnFe2O4", Verdict.PARTIAL),
        ({"Na2CO3": 0.5, "ZrO2": 0.5}, "Na,Zr,P,O,N,H", "NaZr2(PO4)3", Verdict.FAILED),
        ({"YPO4": 1.0}, "Y,P,O", "YPO4", Verdict.SUCCESS),
    ],
)
def test_weighed_in_fractions_come_back(
    weights: dict[str, float], elements: str, target: str, verdict: Verdict
) -> None:
    found = analyze(mixture(weights, seed=3), elements=elements.split(","), target=target)
    phases = {phase.formula: phase for phase in found.outcome.phases}
    assert set(phases) == set(weights)
    for formula, weight in weights.items():
        assert phases[formula].weight_fraction == pytest.approx(weight, abs=0.03)
        assert abs(phases[formula].weight_fraction - weight) < (
            3 * phases[formula].weight_fraction_esd + 1e-9
        )
    assert found.outcome.verdict is verdict
    assert found.outcome.unexplained_fraction < 0.02


def test_a_flat_pattern_says_nothing() -> None:
    counts = np.random.default_rng(1).poisson(200, len(ANGLE)).astype(float)
    flat = Pattern(two_theta_deg=ANGLE, counts=counts, esd=np.sqrt(counts))
    outcome = analyze(flat, elements=["Ba", "Ti", "O"], target="BaTiO3").outcome
    assert outcome.verdict is Verdict.INCONCLUSIVE
    assert outcome.phases == ()
    assert "no peak" in outcome.reasons[0]


def test_an_unknown_phase_is_reported_and_not_explained_away() -> None:
    pattern = mixture({"BaTiO3": 0.8, "NiO": 0.2}, seed=5)
    outcome = analyze(pattern, elements=["Ba", "Ti", "O"], target="BaTiO3").outcome
    assert [phase.formula for phase in outcome.phases] == ["BaTiO3"]
    assert outcome.unexplained_fraction > 0.05
    said = " ".join(outcome.reasons)
    assert "Unknown peaks remain" in said
    assert re.search(r"43\.[23]\d°", said)  # NiO 200, its strongest line: 43.28°
    alone = mixture({"NiO": 1.0}, seed=5)
    nothing = analyze(alone, elements=["Ba", "Ti", "O"], target="BaTiO3").outcome
    assert nothing.verdict is Verdict.INCONCLUSIVE


def test_missing_reference_of_the_target_is_inconclusive() -> None:
    pattern = mixture({"BaTiO3": 0.5, "TiO2": 0.5}, seed=6)
    outcome = analyze(pattern, elements=["Ba", "Ti", "O"], target="Ba6Ti17O40").outcome
    assert outcome.verdict is Verdict.INCONCLUSIVE
    assert "Ba6Ti17O40" in " ".join(outcome.reasons)


def test_displacement_and_cell_are_refined() -> None:
    pattern = mixture({"YPO4": 1.0}, seed=7)
    shift = np.degrees(2 * 0.1 * np.cos(np.radians(ANGLE / 2)) / 145.0)
    moved = Pattern(
        **{name: getattr(pattern, name) for name in pattern.__slots__}
        | {"two_theta_deg": ANGLE - shift}
    )
    found = analyze(moved, elements=["Y", "P", "O"], target="YPO4")
    assert found.displacement_mm == pytest.approx(0.1, abs=0.02)
    assert found.contributions[0].cell[0] == pytest.approx(6.8817, rel=5e-4)
    assert found.contributions[0].cell[2] == pytest.approx(6.0177, rel=5e-4)


def test_a_phase_is_found_by_its_other_lines_where_a_gap_hides_the_strongest() -> None:
    whole = mixture({"BaTiO3": 0.35, "TiO2": 0.65}, seed=17)
    outside = (ANGLE < 30.5) | (ANGLE > 32.5)  # BaTiO3 101 and 110 stand at 31.5°
    cut = replace(
        whole,
        two_theta_deg=ANGLE[outside],
        counts=whole.counts[outside],
        esd=whole.esd[outside],
    )
    outcome = analyze(cut, elements=["Ba", "Ti", "O"], target="BaTiO3").outcome
    assert {phase.formula for phase in outcome.phases} == {"BaTiO3", "TiO2"}
    assert outcome.target_weight_fraction == pytest.approx(0.35, abs=0.03)
    assert "Nothing was measured from 30.48° to 32.52°" in " ".join(outcome.reasons)


@pytest.mark.parametrize("step_deg", [0.02, 0.005])
def test_fine_steps_over_a_short_range_make_no_phases(step_deg: float) -> None:
    """The wide lines of MgO have their tails, whatever the step is."""
    angle = np.arange(33.0, 48.0, step_deg)
    net = _peaks_of(default_cifs()["MgO"], angle, 0.6) + _peaks_of(
        STRUCTURES / "TiO2_136.cif", angle, 0.1
    )
    expected = 20_000 * step_deg / 0.02 * net / net.max() + 150
    counts = np.random.default_rng(0).poisson(expected).astype(float)
    pattern = Pattern(two_theta_deg=angle, counts=counts, esd=np.sqrt(np.maximum(counts, 1)))
    outcome = analyze(pattern, elements=["Mg", "Ti"], particle_diameter_um=0.0).outcome
    assert {phase.reference for phase in outcome.phases} == {"MgO_225", "TiO2_136"}


def test_kbeta_of_molybdenum_is_no_phase() -> None:
    """2 % of Mo Kβ, 0.6323 Å, beside MgO; at copper's place it would be left over."""
    mo, angle = ANODES["Mo"], np.arange(8.0, 45.0, 0.02)
    alpha = _peaks_of(default_cifs()["MgO"], angle, 0.1, (mo.alpha1_ang, mo.alpha2_ang))
    beta = _peaks_of(default_cifs()["MgO"], angle, 0.1, (mo.beta_ang, mo.beta_ang))
    expected = 30_000 * (alpha + 0.02 * beta) / alpha.max() + 150
    counts = np.random.default_rng(0).poisson(expected).astype(float)
    pattern = Pattern(
        two_theta_deg=angle,
        counts=counts,
        esd=np.sqrt(counts),
        wavelength_ang=mo.alpha1_ang,
        wavelength2_ang=mo.alpha2_ang,
        wavelength_stated=True,
    )
    found = analyze(pattern, elements=["Mg", "Al", "Ca", "Ti"])
    assert [phase.formula for phase in found.outcome.phases] == ["MgO"]
    named = {parameter.name: parameter.value for parameter in found.parameters}
    assert named["intensity of Kβ over Kα"] == pytest.approx(0.02, abs=0.004)


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({"wavelength_ang": 1.788996}, "1.78900 Å and its Kα₂, and .* 1.54059 Å and its Kα₂"),
        ({"ratio": 0.0}, "1.54059 Å alone, and .* 1.54059 Å and its Kα₂"),
    ],
)
def test_a_pattern_of_another_radiation_is_refused(stated: dict[str, float], said: str) -> None:
    pattern = replace(mixture({"YPO4": 1.0}, seed=10), **stated)
    with pytest.raises(BadInput, match=said):
        analyze(pattern, elements=["Y", "P"], instrument=Instrument())
    with pytest.raises(BadInput, match=said):
        quantify(pattern, [default_cifs()["YPO4"]], instrument=Instrument())


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({"geometry": "transmission"}, "Measured in transmission"),
        ({"geometry": "fixed_incidence"}, "Measured at fixed incidence"),
        ({"monochromator": "Graphite"}, "2θ of the monochromator Graphite is not known"),
    ],
)
def test_geometry_that_is_not_drawn_is_told(stated: dict[str, str], said: str) -> None:
    pattern = mixture({"YPO4": 1.0}, seed=10)
    cifs = [default_cifs()["YPO4"]]
    assert said in " ".join(quantify(replace(pattern, **stated), cifs).outcome.reasons)
    assert "Measured" not in " ".join(quantify(pattern, cifs).outcome.reasons)


def test_analysis_survives_json_and_is_drawn_small() -> None:
    found = analyze(mixture({"BaTiO3": 0.7, "BaCO3": 0.3}, seed=8), elements=["Ba", "Ti", "O"])
    text = found.to_json()
    assert len(text) < 150_000
    again = Analysis.from_json(text)
    assert again.outcome == found.outcome
    assert again.to_json() == text
    assert again.two_theta_deg == pytest.approx(found.two_theta_deg)
    assert again.contributions[0].cell == found.contributions[0].cell

    drawn = figure(found)
    names = [trace.name for trace in drawn.data]
    assert names[:4] == ["observed", "calculated", "background", "difference"]
    assert len(names) == 4 + len(found.outcome.phases)
    assert all(len(trace.x) <= MOST_POINTS for trace in drawn.data)
    assert len(json.dumps(drawn.to_plotly_json(), default=str)) < 400_000


def test_same_pattern_same_answer() -> None:
    pattern = mixture({"BaTiO3": 0.7, "BaCO3": 0.3}, seed=9)
    first = analyze(pattern, elements=["Ba", "Ti", "O"]).to_json()
    assert analyze(pattern, elements=["Ba", "Ti", "O"]).to_json() == first


def test_no_candidate_and_no_target(tmp_path: Path) -> None:
    pattern = mixture({"YPO4": 1.0}, seed=10)
    with pytest.raises(BadInput, match="no reference structure"):
        analyze(pattern, elements=["He"], extra_elements=())
    with pytest.raises(BadInput, match="no element"):
        analyze(pattern, elements=["Quux"])
    with pytest.raises(BadInput, match="is no folder"):
        analyze(pattern, elements=["Y"], sources=tmp_path / "none")
    with pytest.raises(BadInput, match="no chemical formula"):
        analyze(pattern, elements=["Y"], target="?!")


def test_an_order_that_is_claimed_is_tested(tmp_path: Path) -> None:
    """Ilmenite, ordered and not: only the former is a success."""
    ordered = next(one for one in embedded() if one.stem == "MgTiO3_148").crystal()
    (parent,) = disordered_parents(ordered)
    for crystal in (ordered, parent.crystal):
        file = tmp_path / f"{crystal.stem}.cif"
        CifWriter(structure_of(crystal)).write_file(file)
        _MADE[crystal.stem] = _peaks_of(file)

    def outcome(made: Crystal, seed: int) -> Outcome:
        pattern = mixture({made.stem: 0.8, "TiO2": 0.2}, seed=seed)
        return analyze(pattern, elements=["Mg", "Ti", "O"], target="MgTiO3").outcome

    good = outcome(ordered, 11)
    assert good.verdict is Verdict.SUCCESS
    assert "show the order of MgTiO3: q = 1.0" in " ".join(good.reasons)
    assert good.competing == ()
    bad = outcome(parent.crystal, 12)
    assert bad.verdict is Verdict.INCONCLUSIVE
    assert bad.target_weight_fraction == pytest.approx(0.8, abs=0.06)
    assert "disordered MgTiO3 (R-3c, Mg/Ti mixed) explains" in " ".join(bad.reasons)
    assert "R-3c" in bad.competing[0]


def test_an_internal_standard_gives_the_glass() -> None:
    """30 % glass beside BaTiO3 and TiO2 of 3:2, spiked with 20 % corundum."""
    weights = {"Al2O3": 0.2, "BaTiO3": 0.8 * 0.7 * 0.6, "TiO2": 0.8 * 0.7 * 0.4}
    found = analyze(
        mixture(weights, seed=13),
        elements=["Ba", "Ti", "O"],
        target="BaTiO3",
        spike="Al2O3:0.20",
        particle_diameter_um=0.0,  # the other engine knows no microabsorption
    )
    outcome = found.outcome
    assert outcome.amorphous_fraction == pytest.approx(0.3, abs=0.05)
    assert outcome.amorphous_fraction_esd is not None
    assert abs(outcome.amorphous_fraction - 0.3) < 3 * outcome.amorphous_fraction_esd
    assert {phase.formula for phase in outcome.phases} == {"BaTiO3", "TiO2"}
    assert len(found.contributions) == 2
    assert outcome.target_weight_fraction == pytest.approx(0.42, abs=0.04)
    assert outcome.verdict is Verdict.PARTIAL
    assert "of the sample" in outcome.reasons[0]
    assert Analysis.from_json(found.to_json()).outcome == outcome


def test_a_standard_that_contradicts_the_amounts_concludes_nothing() -> None:
    weights = {"Al2O3": 0.1, "BaTiO3": 0.5, "TiO2": 0.4}
    outcome = analyze(
        mixture(weights, seed=14),
        elements=["Ba", "Ti", "O"],
        target="BaTiO3",
        spike="Al2O3:0.30",
        particle_diameter_um=0.0,
    ).outcome
    assert outcome.verdict is Verdict.INCONCLUSIVE
    assert outcome.amorphous_fraction is not None
    assert outcome.amorphous_fraction < -1
    assert "contradicts" in outcome.reasons[0]


def test_a_standard_that_is_not_there_or_is_the_target() -> None:
    pattern = mixture({"BaTiO3": 0.6, "TiO2": 0.4}, seed=15)
    outcome = analyze(
        pattern, elements=["Ba", "Ti", "O"], target="BaTiO3", spike="Al2O3:0.2"
    ).outcome
    assert outcome.verdict is Verdict.INCONCLUSIVE
    assert "Al2O3 was not found" in outcome.reasons[0]
    with pytest.raises(BadInput, match="both the target and the internal standard"):
        analyze(pattern, elements=["Ba", "Ti"], target="TiO2", spike="TiO2:0.2")


@pytest.mark.parametrize("glass", [0.0, 0.25])
def test_a_hump_of_glass_is_suspected(glass: float) -> None:
    crystals = mixture({"BaTiO3": 0.7, "BaCO3": 0.3}, seed=16, strongest=4000.0)
    hump = np.exp(-0.5 * ((ANGLE - 28.0) / 3.8) ** 2)
    net = crystals.counts.sum() - np.sum(80 + 1500 / ANGLE)
    added = net * glass / (1 - glass) * hump / hump.sum()
    counts = crystals.counts + np.random.default_rng(16).poisson(added)
    pattern = replace(crystals, counts=counts, esd=np.sqrt(np.maximum(counts, 1)))
    outcome = analyze(pattern, elements=["Ba", "Ti", "O"], target="BaTiO3").outcome
    assert outcome.amorphous_suspected is (glass > 0)
    assert ("broad hump" in " ".join(outcome.reasons)) is (glass > 0)


def test_without_a_target_nothing_is_judged() -> None:
    pattern = mixture({"BaTiO3": 0.7, "BaCO3": 0.3}, seed=8)
    outcome = analyze(pattern, elements=["Ba", "Ti", "O"]).outcome
    assert outcome.target is None
    assert outcome.verdict is Verdict.INCONCLUSIVE
    assert "No target was named" in outcome.reasons[0]
    assert {phase.formula for phase in outcome.phases} == {"BaTiO3", "BaCO3"}
