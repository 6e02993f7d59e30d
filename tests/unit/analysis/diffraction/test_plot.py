"""Pictures of a refinement: what is in them, and that they can be written."""

import json
import re
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alab.errors import BadInput
from alab.models import Outcome, PhaseAmount, Verdict
from analysis.diffraction.plot import MOST_POINTS, figure, write_html, write_png
from analysis.diffraction.result import Analysis, Contribution

ANGLE = np.linspace(10.0, 100.0, 3072)


def peak(place_deg: float, height: float) -> np.ndarray:
    return height * np.exp(-0.5 * ((ANGLE - place_deg) / 0.06) ** 2)


def phase(formula: str, share: float) -> PhaseAmount:
    return PhaseAmount(
        formula=formula,
        reference=formula,
        space_group="P1",
        weight_fraction=share,
        weight_fraction_esd=0.01,
    )


def part(formula: str, place_deg: float, height: float) -> Contribution:
    return Contribution(
        reference=formula,
        formula=formula,
        counts=peak(place_deg, height),
        ticks_deg=(place_deg,),
        cell=(4.0,) * 3 + (90.0,) * 3,
        strain_percent=0.0,
        size_nm=None,
        density_g_per_cm3=5.0,
    )


@pytest.fixture
def analysis() -> Analysis:
    """Two phases, one of them of weak lines, and a peak of neither at 60°."""
    background = np.full(len(ANGLE), 100.0)
    parts = (part("BaTiO3", 31.5, 9000.0), part("BaCO3", 24.0, 60.0))
    calculated = background + parts[0].counts + parts[1].counts
    return Analysis(
        outcome=Outcome(
            verdict=Verdict.PARTIAL,
            target_weight_fraction=0.0,
            target_weight_fraction_esd=0.0,
            phases=(phase("BaTiO3", 0.99), phase("BaCO3", 0.01)),
            r_wp_percent=4.0,
            unexplained_fraction=0.1,
        ),
        two_theta_deg=ANGLE,
        observed=calculated + peak(60.0, 900.0),
        calculated=calculated,
        background=background,
        contributions=parts,
        displacement_mm=0.0,
        sample="S1",
        origin="scan.xy",
        candidates=2,
        unexplained_two_theta_deg=(60.0,),
    )


def test_curves_ticks_and_unknown_peaks_are_drawn(analysis: Analysis) -> None:
    traces = {trace.name: trace for trace in figure(analysis).data}
    assert list(traces)[:4] == ["observed", "calculated", "background", "difference"]
    assert np.max(traces["observed"].y) == pytest.approx(9100, rel=0.02)
    assert np.max(traces["difference"].y) == pytest.approx(900, rel=0.02)
    assert list(traces["BaCO3 1.0 wt %"].x) == [24.0]
    unknown = traces["unknown peak"]
    assert list(unknown.x) == [60.0]
    assert 1000 <= unknown.y[0] < 1200
    assert all(len(trace.x) <= MOST_POINTS for trace in traces.values())


def test_without_unknown_peaks_none_are_marked(analysis: Analysis) -> None:
    clean = figure(replace(analysis, unexplained_two_theta_deg=()))
    assert "unknown peak" not in [trace.name for trace in clean.data]


def test_a_button_draws_the_square_root(analysis: Analysis) -> None:
    drawn = figure(analysis)
    counts, root = drawn.layout.updatemenus[0].buttons
    changed, axes, which = root.args
    assert [drawn.data[i].name for i in which] == [
        "observed",
        "calculated",
        "background",
        "unknown peak",
    ]
    for i, y in zip(which, changed["y"], strict=True):
        assert np.square(y) == pytest.approx(drawn.data[i].y, rel=1e-4)
    marks = [float(text.replace(",", "")) for text in axes["yaxis.ticktext"]]
    assert axes["yaxis.tickvals"] == pytest.approx(np.sqrt(marks))
    assert marks == sorted(set(marks))
    assert list(counts.args[0]["y"][0]) == list(drawn.data[0].y)
    assert not figure(analysis, switch=False).layout.updatemenus


def test_a_page_holds_all_it_needs(analysis: Analysis, tmp_path: Path) -> None:
    write_html(analysis, tmp_path / "s.html")
    page = (tmp_path / "s.html").read_text(encoding="utf-8")
    assert "unknown peak" in page
    assert not re.search(r'<script[^>]+src="http', page)
    slim = json.dumps(figure(analysis, switch=False).to_plotly_json(), default=str)
    assert len(slim) < 400_000


@pytest.mark.parametrize("square_root", [True, False])
def test_a_png_is_a_picture(analysis: Analysis, tmp_path: Path, square_root: bool) -> None:
    path = tmp_path / "s.png"
    write_png(analysis, path, square_root=square_root)
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", content[16:24])
    assert width == 2000
    assert height > 1000
    again = tmp_path / "again.png"
    write_png(replace(analysis, unexplained_two_theta_deg=()), again, square_root=square_root)
    assert again.read_bytes() != content


def test_nothing_found_can_be_drawn(analysis: Analysis, tmp_path: Path) -> None:
    nothing = replace(analysis, outcome=replace(analysis.outcome, phases=()), contributions=())
    assert len(figure(nothing).data) == 5
    write_png(nothing, tmp_path / "none.png")


@pytest.mark.parametrize("write", [write_html, write_png])
def test_a_folder_that_is_not_there_is_told(
    analysis: Analysis, tmp_path: Path, write: Callable[[Analysis, Path], None]
) -> None:
    with pytest.raises(BadInput, match="choose a folder"):
        write(analysis, tmp_path / "none" / "s.x")
