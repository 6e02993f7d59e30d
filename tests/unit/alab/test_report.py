"""The campaign report, written from a store like one a campaign leaves behind."""

import base64
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alab.errors import BadInput
from alab.models import (
    Atmosphere,
    Decision,
    NextStep,
    Outcome,
    PhaseAmount,
    PrecursorAmount,
    Profile,
    Recipe,
    Segment,
    Verdict,
)
from alab.report import words
from alab.report.contents import Firing, furnace_use
from alab.report.figures import slim
from alab.report.reading import read_contents
from alab.report.report import write_report
from alab.store.codec import encode, pack
from alab.store.records import ask, log_event, raise_alarm
from alab.store.store import Store
from alab.store.tables import (
    AttemptRow,
    CampaignRow,
    DoseRow,
    FiringRow,
    ReadingRow,
    SampleRow,
    SlotRow,
    TargetRow,
)
from analysis.diffraction.result import Analysis, Contribution

START = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)


def hours(number: float) -> datetime:
    return START + timedelta(hours=number)


def profile(temperature_c: float, dwell_h: float = 8.0) -> Profile:
    segment = Segment(ramp_c_per_min=5.0, temperature_c=temperature_c, dwell_s=dwell_h * 3600)
    return Profile(segments=(segment,))


def recipe(target: str, amounts: dict[str, float], temperature_c: float) -> Recipe:
    return Recipe(
        target=target,
        precursors=tuple(
            PrecursorAmount(formula=formula, moles=1.0, mass_mg=mass_mg)
            for formula, mass_mg in amounts.items()
        ),
        reaction=f"{' + '.join(amounts)} → {target} + CO2",
        profile=profile(temperature_c),
        reasons=("The reaction is driven by 87 meV/atom at 1000 °C.",),
        risks=("BaCO3 may keep carbonate below 900 °C.",),
    )


def outcome(
    verdict: Verdict, target: str, others: dict[str, float], r_wp_percent: float
) -> Outcome:
    share = 1.0 - sum(others.values())
    amounts = {target: share, **others}
    return Outcome(
        verdict=verdict,
        target_weight_fraction=share,
        target_weight_fraction_esd=0.012,
        phases=tuple(
            PhaseAmount(
                formula=formula,
                reference=f"{formula}_221",
                space_group="Pm-3m",
                weight_fraction=fraction,
                weight_fraction_esd=0.012,
            )
            for formula, fraction in sorted(amounts.items(), key=lambda item: -item[1])
        ),
        r_wp_percent=r_wp_percent,
        unexplained_fraction=0.034,
        amorphous_suspected=verdict is Verdict.PARTIAL,
        competing=("Cubic and tetragonal BaTiO3 fit alike here.",),
        reasons=(f"{100 * share:.0f} wt % of the crystalline part is {target}.",),
    )


def fill(store: Store, analyses: dict[str, bytes] | None = None) -> None:
    """A campaign of two targets: one made after a refiring, one with a better recipe."""
    analyses = analyses or {}
    barium = recipe("BaTiO3", {"BaCO3": 423.1, "TiO2": 171.2}, 900.0)
    hotter = recipe("BaTiO3", {"BaCO3": 423.1, "TiO2": 171.2}, 1100.0)
    spinel = recipe("MgAl2O4", {"MgO": 141.6, "Al2O3": 358.4}, 1100.0)
    again = Decision(
        step=NextStep.REFIRE,
        recipe=hotter,
        reasons=("BaCO3 is left: 200 °C more and a regrind bring the grains together.",),
    )
    done = Decision(step=NextStep.DONE, reasons=("The target is the main phase.",))
    with store.begin() as session:
        session.add(
            CampaignRow(name="demo", status="finished", max_attempts=4, created_at=START)
        )
        session.flush()
        for formula in ("BaTiO3", "MgAl2O4"):
            row = TargetRow(campaign="demo", formula=formula, priority=0, status="made")
            session.add(row)
        session.add(
            TargetRow(
                campaign="demo",
                formula="Zr3N4",
                priority=0,
                status="given_up",
                reason="<no> nitride can be made in air",
            )
        )
        for place, slot in (("chamber_a", n) for n in range(1, 9)):
            session.add(SlotRow(slot=f"{place}.{slot}", place=place, position=slot))
        for name, formula, status in (
            ("demo-BaTiO3-1", "BaTiO3", "finished"),
            ("demo-MgAl2O4-1", "MgAl2O4", "finished"),
        ):
            session.add(
                SampleRow(
                    name=name,
                    campaign="demo",
                    target=formula,
                    status=status,
                    control="run",
                    priority=0,
                    recipe=encode(hotter),
                    round=1,
                    created_at=START,
                    status_at=hours(60),
                )
            )
            log_event(session, hours(0.1), "laboratory", name, "queued")
        log_event(session, hours(60), "laboratory", "demo-BaTiO3-1", "finished")
        session.flush()
        runs = (
            (profile(900.0), {"demo-BaTiO3-1": "chamber_a.1"}, 3.0, 21.0),
            (
                profile(1100.0),
                {"demo-BaTiO3-1": "chamber_a.1", "demo-MgAl2O4-1": "chamber_a.2"},
                30.0,
                54.0,
            ),
        )
        for fired, slots, begin_h, end_h in runs:
            session.add(
                FiringRow(
                    furnace="furnace_a",
                    status="finished",
                    profile=encode(fired),
                    atmosphere="air",
                    slots=slots,
                    created_at=hours(begin_h - 0.5),
                    heated_from=hours(begin_h),
                    ended_at=hours(end_h),
                )
            )
            session.flush()
            peak_c = fired.max_temperature_c
            for step in range(120):
                at_h = (end_h - begin_h) * step / 119
                program_c = min(25 + 300 * at_h, peak_c) if at_h < peak_c / 300 + 8 else None
                measured_c = (
                    25 + (program_c - 25) * (1 - np.exp(-4 * at_h))
                    if program_c is not None
                    else 25 + (peak_c - 25) * np.exp(-(at_h - peak_c / 300 - 8) / 3)
                )
                session.add(
                    ReadingRow(
                        device="furnace_a",
                        at=hours(begin_h + at_h),
                        temperature_c=float(measured_c),
                        setpoint_c=program_c,
                    )
                )
        for sample, round_, how, firing, found, decided in (
            (
                "demo-BaTiO3-1",
                1,
                barium,
                1,
                outcome(Verdict.PARTIAL, "BaTiO3", {"BaCO3": 0.38, "TiO2": 0.21}, 9.4),
                again,
            ),
            (
                "demo-BaTiO3-1",
                2,
                hotter,
                2,
                outcome(Verdict.SUCCESS, "BaTiO3", {"Ba2TiO4": 0.06}, 6.8),
                done,
            ),
            (
                "demo-MgAl2O4-1",
                1,
                spinel,
                2,
                outcome(Verdict.SUCCESS, "MgAl2O4", {"MgO": 0.11}, 7.7),
                done,
            ),
        ):
            session.add(
                AttemptRow(
                    sample=sample,
                    round=round_,
                    recipe=encode(how),
                    firing=firing,
                    scan_filename=f"{sample}-r{round_}.xrdml",
                    outcome=encode(found),
                    analysis=analyses.get(f"{sample}-r{round_}"),
                    decision=encode(decided),
                    decided_at=hours(56),
                )
            )
        for sample, how in (("demo-BaTiO3-1", barium), ("demo-MgAl2O4-1", spinel)):
            for powder in how.precursors:
                session.add(
                    DoseRow(
                        sample=sample,
                        formula=powder.formula,
                        wanted_mg=powder.mass_mg,
                        dosed_mg=powder.mass_mg * 1.004,
                        dosed_at=hours(1),
                    )
                )
        raise_alarm(session, hours(40), "furnace_a", "tripped: 1131 °C is above 1115 °C")
        ask(session, hours(41), "demo-BaTiO3-1/prepare/to mixer", "Did the arm move?", ["yes"])


def figures_in(page: str) -> dict[str, Any]:
    found = re.findall(
        r'<script type="application/json" id="([^"]+)">(.*?)</script>', page, re.DOTALL
    )
    return {name: json.loads(text) for name, text in found}


def test_report_tells_the_story(empty_store: Store, tmp_path: Path) -> None:
    fill(empty_store)
    path = write_report(empty_store, "demo", tmp_path / "deep" / "report.html")
    page = path.read_text(encoding="utf-8")
    for said in (
        "2 of 3",  # targets made
        "42.0 h",  # furnace time: 18 + 24
        "3 crucibles in 16 places",
        "94.0 ± 1.2",  # BaTiO3 at last
        "Next: grind this powder again and fire it once more",
        "BaCO3 is left: 200 °C more and a regrind bring the grains together.",
        "+0.40",  # weighed against wanted, percent
        "tripped: 1131 °C is above 1115 °C",
        "Did the arm move?",
        "An amorphous part is suspected",
        "Cubic and tetragonal BaTiO3 fit alike here.",
        "BaTiO<sub>3</sub>",
        "&lt;no&gt; nitride can be made in air",
    ):
        assert said in page, said


def test_report_needs_nothing_but_itself(empty_store: Store, tmp_path: Path) -> None:
    fill(empty_store)
    page = write_report(empty_store, "demo", tmp_path / "report.html").read_text(
        encoding="utf-8"
    )
    plain = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"(?:src|href)=\"[^#]", plain)
    assert "@import" not in plain
    assert "url(" not in plain
    assert page.count("plotly.js v") == 1
    assert len(page) < 6_000_000
    assert [p.name for p in tmp_path.iterdir() if p.suffix == ".part"] == []


def test_on_a_narrow_screen_tables_scroll_in_their_own_box(
    empty_store: Store, tmp_path: Path
) -> None:
    fill(empty_store)
    page = write_report(empty_store, "demo", tmp_path / "report.html").read_text(
        encoding="utf-8"
    )
    narrow = re.search(r"@media \(max-width: 720px\) \{(.*?)\n\}", page, re.DOTALL)
    assert narrow is not None
    assert "table { display: block; overflow-x: auto; }" in narrow[1]


def test_every_figure_that_is_shown_is_there_once(empty_store: Store, tmp_path: Path) -> None:
    fill(empty_store)
    page = write_report(empty_store, "demo", tmp_path / "report.html").read_text(
        encoding="utf-8"
    )
    figures = figures_in(page)
    shown = set(re.findall(r'data-figure="([^"]+)"', page))
    assert shown == set(figures) >= {"furnace-days", "curve-1", "curve-2"}
    # two samples of one firing share its curve
    assert page.count('data-figure="curve-2"') == 2


def test_target_is_judged_by_its_best_round(empty_store: Store) -> None:
    fill(empty_store)
    contents = read_contents(empty_store, "demo")
    barium, _, nitride = contents.targets
    assert barium.best is not None
    assert barium.best.number == 2
    assert nitride.best is None
    assert contents.hours == pytest.approx(60.0)


def test_running_campaign_is_reported_as_far_as_it_is(
    empty_store: Store, tmp_path: Path
) -> None:
    with empty_store.begin() as session:
        session.add(CampaignRow(name="new", status="running", max_attempts=3, created_at=START))
        session.flush()
        session.add(TargetRow(campaign="new", formula="LiCoO2", priority=0, status="open"))
    page = write_report(empty_store, "new", tmp_path / "r.html").read_text(encoding="utf-8")
    assert "The campaign is running" in page
    assert "Nothing was tried for this target." in page


def test_unknown_campaign_and_unwritable_path_are_bad_input(
    empty_store: Store, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match="no campaign 'nope'"):
        write_report(empty_store, "nope", tmp_path / "r.html")
    fill(empty_store)
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot write the report"):
        write_report(empty_store, "demo", tmp_path / "file" / "r.html")


def test_fewest_firings_counts_equal_programs_only() -> None:
    def firing(number: int, temperature_c: float, samples: int) -> Firing:
        return Firing(
            number=number,
            furnace="f",
            status="finished",
            profile=profile(temperature_c),
            atmosphere=Atmosphere.AIR,
            samples=tuple(str(n) for n in range(samples)),
            slots=8,
            heated_from=START,
            ended_at=hours(10),
            note="",
        )

    use = furnace_use([firing(1, 900, 3), firing(2, 900, 4), firing(3, 1000, 8)], hours(99))
    assert (use.firings, use.least_firings) == (3, 2)
    assert (use.crucibles, use.places) == (15, 24)
    assert use.furnace_hours == pytest.approx(30.0)


def test_slim_figures_keep_their_numbers() -> None:
    figure = {
        "data": [
            {"x": np.linspace(10.0, 90.0, 50), "name": "a"},
            {"x": np.geomspace(10.0, 90.0, 50)},
        ],
        "layout": {"template": {"data": {}}, "height": 3},
    }
    thin = slim(figure)
    assert "template" not in thin["layout"]
    even, uneven = thin["data"]
    axis = even["x0"] + even["dx"] * np.arange(50)
    np.testing.assert_allclose(axis, np.linspace(10.0, 90.0, 50), rtol=1e-6)
    values = np.frombuffer(base64.b64decode(uneven["x"]["bdata"]), dtype="<f4")
    np.testing.assert_allclose(values, np.geomspace(10.0, 90.0, 50), rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("NaZr2(PO4)3", "NaZr<sub>2</sub>(PO<sub>4</sub>)<sub>3</sub>"),
        ("2 MgO + CO2", "2 MgO + CO<sub>2</sub>"),
        ("Li0.5CoO2", "Li<sub>0.5</sub>CoO<sub>2</sub>"),
        ("<img>", "&lt;img&gt;"),
    ],
)
def test_formulas_are_set_with_low_numbers(text: str, marked: str) -> None:
    assert words.formula(text) == marked


def test_words_for_programs_and_shares() -> None:
    assert words.program(profile(900.0)) == "5 °C/min to 900 °C, 8 h"
    assert words.share(0.8342, 0.0118) == "83.4 ± 1.2"
    assert words.share(0.5, 0.2) == "50 ± 20"
    assert words.interval((0.034, 0.1)) == "3.4 – 10.0"
    assert words.probability(0.99999) == "> 99.9 %"
    assert words.probability(0.512) == "51.2 %"
    assert words.duration(90 * 3600) == "3.75 d"


def test_refined_pattern_is_drawn_from_what_the_analysis_kept(
    empty_store: Store, tmp_path: Path
) -> None:
    angle = np.arange(10.0, 80.0, 0.02)
    peak = 900.0 * np.exp(-0.5 * ((angle - 31.5) / 0.05) ** 2)
    part = Contribution(
        reference="BaTiO3_99",
        formula="BaTiO3",
        counts=peak,
        ticks_deg=(22.2, 31.5, 38.9),
        cell=(3.99, 3.99, 4.03, 90.0, 90.0, 90.0),
        strain_percent=0.0,
        size_nm=None,
        density_g_per_cm3=6.0,
    )
    analysis = Analysis(
        outcome=outcome(Verdict.SUCCESS, "BaTiO3", {}, 6.0),
        two_theta_deg=angle,
        observed=peak + 40.0,
        calculated=peak + 38.0,
        background=np.full_like(angle, 38.0),
        contributions=(part,),
        displacement_mm=0.02,
        sample="demo-BaTiO3-1-r2",
        origin="demo.xrdml",
        candidates=9,
    )
    fill(empty_store, {"demo-BaTiO3-1-r2": pack(analysis.to_json())})
    page = write_report(empty_store, "demo", tmp_path / "report.html").read_text(
        encoding="utf-8"
    )
    figure = figures_in(page)["pattern-2"]
    observed = next(t for t in figure["data"] if t["name"] == "observed")
    counts = np.frombuffer(base64.b64decode(observed["y"]["bdata"]), observed["y"]["dtype"])
    drawn_angle = observed["x0"] + observed["dx"] * np.arange(len(counts))
    assert drawn_angle[np.argmax(counts)] == pytest.approx(31.5, abs=0.03)
    assert counts.max() == pytest.approx(940, rel=0.1)  # every other point is drawn
    assert any(t["name"].startswith("BaTiO3 100.0 wt %") for t in figure["data"])
    assert len(json.dumps(figure)) < 60_000


def test_analysis_of_another_version_is_left_out(empty_store: Store, tmp_path: Path) -> None:
    fill(empty_store, {"demo-BaTiO3-1-r2": pack({"two_theta_deg": [20.0]})})
    page = write_report(empty_store, "demo", tmp_path / "report.html").read_text(
        encoding="utf-8"
    )
    assert "pattern-2" not in figures_in(page)
    assert "No refined pattern that this version can draw is kept." in page
