"""How answers are scored against what is known."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alab.errors import BadInput
from alab.models import Outcome, PhaseAmount, Verdict
from analysis.diffraction.analyze import Analysis
from analysis.diffraction.crystal import read_crystal
from analysis.diffraction.library import STRUCTURES, same_formula
from benchmarks import amounts, identification, simulated
from benchmarks.amounts import Amount
from benchmarks.decoys import LEAST_CHANGE, MOST_CHANGE, PREFIX, write_decoys
from benchmarks.identification import Identified
from benchmarks.measured import Sample, attempted, read_truth, space_group_number
from benchmarks.mixtures import Mixture, draw_mixtures


def _truth(folder: Path, **changes: object) -> list[Sample]:
    entry = {
        "id": "dara-mix-NiO-TiO2--8min",
        "file": "a.xy",
        "tier": "A_weighed",
        "phases": [
            {"formula": "NiO", "sg": 225, "wt": 30, "cif": "cifs/NiO_225.cif"},
            {"formula": "TiO2", "sg": [141, 136], "wt": 70, "cif": "cifs/TiO2_141.cif"},
        ],
    } | changes
    (folder / "cifs").mkdir(exist_ok=True)
    for stem in ("NiO_225", "TiO2_141", "TiO2_136"):
        (folder / "cifs" / f"{stem}.cif").write_text((STRUCTURES / f"{stem}.cif").read_text())
    (folder / "truth.json").write_text(json.dumps([entry]))
    return read_truth(folder)


def _found(formula: str, symbol: str, share: float, reference: str = "x") -> PhaseAmount:
    return PhaseAmount(
        formula=formula,
        reference=reference,
        space_group=symbol,
        weight_fraction=share,
        weight_fraction_esd=0.01,
    )


def _outcome(*phases: PhaseAmount, reasons: tuple[str, ...] = ()) -> Outcome:
    return Outcome(
        verdict=Verdict.INCONCLUSIVE,
        target_weight_fraction=0.0,
        target_weight_fraction_esd=0.0,
        phases=phases,
        r_wp_percent=5.0,
        unexplained_fraction=0.0,
        reasons=reasons,
    )


def test_truth_gives_both_polymorphs_of_a_reagent(tmp_path: Path) -> None:
    sample = _truth(tmp_path)[0]
    assert sample.kind == "mixtures8"
    assert [cif.stem for cif in sample.cifs()] == ["NiO_225", "TiO2_141", "TiO2_136"]
    assert sample.elements == {"Ni", "Ti", "O"}


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"id": "cpd-1b"}, "cpd1"),
        ({"id": "cpd-2"}, "other"),
        ({"id": "mix", "file": "m--2min.xrdml"}, "mixtures2"),
        ({"tier": "B_mixture_ids"}, "lmto"),
        ({"tier": "B_single"}, "other"),
    ],
)
def test_a_sample_counts_in_its_figure(
    tmp_path: Path, changes: dict[str, object], kind: str
) -> None:
    assert _truth(tmp_path, **changes)[0].kind == kind


def test_a_truth_of_another_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"truth\.json"):
        read_truth(tmp_path)
    (tmp_path / "truth.json").write_text('[{"id": "a"}]')
    with pytest.raises(BadInput, match="no list of samples"):
        read_truth(tmp_path)


def test_a_missing_structure_is_named(tmp_path: Path) -> None:
    phases = [{"formula": "In2O3", "sg": 206, "wt": 100, "cif": "cifs/none_206.cif"}]
    with pytest.raises(BadInput, match="In2O3"):
        _truth(tmp_path, phases=phases)[0].cifs()


@pytest.mark.parametrize(
    ("symbol", "number"), [("Fm-3m", 225), ("P12_1/c1", 14), ("I4_1/amd", 141), ("none", 0)]
)
def test_symbols_have_numbers(symbol: str, number: int) -> None:
    assert space_group_number(symbol) == number


def test_polymorphs_are_weighed_together_with_their_interval() -> None:
    total, low, high = amounts.interval90([_found("TiO2", "a", 0.6), _found("TiO2", "b", 0.1)])
    assert total == pytest.approx(70.0)
    assert high - total == pytest.approx(1.645 * 2**0.5, rel=1e-3)
    assert total - low == pytest.approx(1.645 * 2**0.5, rel=1e-3)
    stated = replace(_found("NiO", "a", 0.5), interval90=(0.45, 0.52))
    assert amounts.interval90([stated]) == pytest.approx((50.0, 45.0, 52.0))


def test_figures_of_amounts() -> None:
    made = [
        Amount(
            sample="a",
            kind="mixtures8",
            formula="NiO",
            weighed=30,
            found=found,
            low=low,
            high=high,
        )
        for found, low, high in ((31, 29, 33), (27, 26, 28))
    ]
    figures = amounts.figures(made)
    assert figures["mixtures8_mae_wt"].value == pytest.approx(2.0)
    assert figures["interval90_coverage"].value == pytest.approx(0.5)
    assert "cpd1_mae_wt" not in figures


def _compared(tmp_path: Path, *phases: PhaseAmount) -> Identified:
    sample = _truth(tmp_path)[0]
    task = identification.Task(sample=sample, folder=tmp_path, elements=sample.elements)
    axis = np.zeros(2)
    analysis = Analysis(
        outcome=_outcome(*phases),
        two_theta_deg=axis,
        observed=axis,
        calculated=axis,
        background=axis,
        contributions=(),
        displacement_mm=0.0,
        sample="",
        origin="",
        candidates=9,
    )
    return identification._compared(task, analysis)


def test_anatase_must_be_found_and_rutile_may(tmp_path: Path) -> None:
    nickel, anatase = _found("NiO", "Fm-3m", 0.3), _found("TiO2", "I4_1/amd", 0.6)
    rutile = _found("TiO2", "P4_2/mnm", 0.1)
    assert _compared(tmp_path, nickel, anatase).exact
    both = _compared(tmp_path, nickel, anatase, rutile)
    assert both.exact
    assert both.error_wt == pytest.approx(0.0)
    without = _compared(tmp_path, nickel, rutile)
    assert not without.exact
    assert without.missed == ("TiO2",)


def test_a_decoy_is_wrong_however_right_its_formula(tmp_path: Path) -> None:
    decoy = _found("NiO", "Fm-3m", 0.3, reference=f"{PREFIX}cell_NiO_225")
    found = _compared(tmp_path, decoy, _found("TiO2", "I4_1/amd", 0.7))
    assert found.wrong == ("NiO (decoy)",)
    assert found.missed == ("NiO",)
    assert not found.exact_by_formula
    assert identification.false_discovery_rate([found]) == pytest.approx(0.5)


def test_another_polymorph_is_right_by_formula_alone(tmp_path: Path) -> None:
    brookite = _found("TiO2", "Pbca", 0.7)
    found = _compared(tmp_path, _found("NiO", "Fm-3m", 0.3), brookite)
    assert found.exact_by_formula
    assert not found.exact


def test_calibration_error_of_stated_probabilities(tmp_path: Path) -> None:
    base = _compared(tmp_path, _found("NiO", "Fm-3m", 0.3))
    stated = ((0.9, True), (0.9, True), (0.9, True), (0.9, False))
    sure = replace(base, probabilities=stated)
    assert identification.calibration_error([sure]) == pytest.approx(0.15)
    assert identification.calibration_error([replace(base, probabilities=())]) is None


def test_decoys_hold_allowed_elements_and_keep_their_symmetry(tmp_path: Path) -> None:
    allowed = {"Ni", "Ti", "O", "C", "H"}
    pool = sorted(STRUCTURES.glob("*.cif"))
    written = write_decoys(tmp_path, pool, allowed, isostructures=8, perturbed=4, seed=2)
    assert len(written) == 12
    for decoy in written:
        crystal = read_crystal(decoy)
        assert set(crystal.elements) <= allowed
        if not decoy.stem.startswith(f"{PREFIX}cell_"):
            continue
        origin = read_crystal(STRUCTURES / f"{decoy.stem.removeprefix(f'{PREFIX}cell_')}.cif")
        assert same_formula(crystal.formula, origin.formula)
        assert len(crystal.elements) == len(origin.elements)
        change = abs(crystal.cell[:3] / origin.cell[:3] - 1)
        assert all((change > LEAST_CHANGE - 1e-4) & (change < MOST_CHANGE + 1e-4))


def test_decoys_of_a_seed_are_the_same_again(tmp_path: Path) -> None:
    pool = sorted(STRUCTURES.glob("*.cif"))
    texts = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        written = write_decoys(
            tmp_path / name, pool, {"Ni", "Ti", "O"}, isostructures=3, perturbed=2, seed=4
        )
        texts.append([decoy.read_text() for decoy in written])
    assert texts[0] == texts[1]


def _mixture() -> Mixture:
    mixtures = draw_mixtures(60, seed=1)
    return next(m for m in mixtures if m.hidden is not None and len(m.visible) == 2)


def test_a_mixture_is_scored_without_its_hidden_phase() -> None:
    mixture = _mixture()
    total = sum(phase.weight for phase in mixture.visible)
    right = [
        _found(p.reference.formula, p.reference.space_group, p.weight / total)
        for p in mixture.visible
    ]
    told = ("Unknown peaks remain: 9 % of the net counts.",)
    scored = simulated.compared(mixture, _outcome(*right, reasons=told))
    assert scored.exact
    assert scored.flagged
    assert max(scored.errors_wt) == pytest.approx(0.0, abs=1e-9)
    false = simulated.compared(mixture, _outcome(*right, _found("Bi2O3", "P2_1/c", 0.2)))
    assert not false.exact
    assert not false.flagged
    assert simulated.false_discoveries([false]) == pytest.approx(1 / 3)
    nothing = simulated.compared(mixture, _outcome())
    assert len(nothing.missed) == 2
    assert sum(nothing.errors_wt) == pytest.approx(100.0)


def test_wilson_interval_of_a_published_example() -> None:
    # Newcombe, Statist. Med. 17 (1998) 857, table I: 81 of 263 gives 0.2553 to 0.3662.
    mixture = _mixture()
    hit = simulated.compared(mixture, _outcome(reasons=("Unknown peaks remain",)))
    miss = simulated.compared(mixture, _outcome())
    share, low, high = simulated.share_of([hit] * 81 + [miss] * 182, lambda one: one.flagged)
    assert share == pytest.approx(81 / 263)
    assert (low, high) == pytest.approx((0.2553, 0.3662), abs=1e-4)


def test_what_fails_is_told_in_words() -> None:
    def fail() -> None:
        raise ValueError("no")

    assert attempted("sample", fail) == "sample: ValueError: no"
