"""Whatever bytes are handed in: a pattern or a refusal, and nothing else."""

import numpy as np
from hypothesis import HealthCheck, given, settings, strategies as st

from alab.errors import BadInput
from analysis.diffraction.pattern import parse_pattern
from tests.pattern_files import CALM, SCAN, SWITCHED, ras, rasx, rows, xrdml, xrdml_scan

WHOLE = [
    (xrdml(xrdml_scan(20, CALM[:80])), "a.xrdml"),
    (ras(CALM, SWITCHED), "a.ras"),
    (rasx(CALM, SWITCHED), "a.rasx"),
    (rows(";", SCAN, CALM, comma=True).encode(), "a.csv"),
    (b"title\nBANK 1 500 50 CONST 2000 2 0 0 STD\n" + b"    1000" * 500, "a.gsas"),
    (b"data_a\nloop_\n_pd_meas_2theta_scan\n_pd_meas_counts_total\n" + b"1 2\n" * 9, "a.cif"),
    (b"RAW1.01" + bytes(range(256)) * 8, "a.raw"),
    (b"RAW4.00" + bytes(range(256)) * 8, "a.raw"),
    (b"_FILEVERSION=1\n_DRIVE='COUPLED'\n_STEPSIZE=0.02\n_START=20\n_COUNTS\n1 2 3\n", "a.uxd"),
]
ENDINGS = [
    "xy",
    "xrdml",
    "ras",
    "rasx",
    "brml",
    "raw",
    "cif",
    "gsas",
    "uxd",
    "chi",
    "",
    "\x00/..",
]


@given(content=st.binary(max_size=400), ending=st.sampled_from(ENDINGS))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_a_pattern_or_bad_input(content: bytes, ending: str) -> None:
    _is_read_or_refused(content, f"any.{ending}")


@given(
    source=st.sampled_from(WHOLE),
    cut=st.floats(0, 1),
    at=st.floats(0, 1),
    put=st.one_of(
        st.binary(max_size=8),
        st.sampled_from([b"-", b"1e99", b"nan", b"99999999999", b"<", b'"', b"\x00" * 40]),
    ),
)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_damaged_files_are_a_pattern_or_bad_input(
    source: tuple[bytes, str], cut: float, at: float, put: bytes
) -> None:
    content, name = source
    content = content if cut < 0.5 else content[: round(2 * (cut - 0.5) * len(content))]
    place = round(at * len(content))
    _is_read_or_refused(content[:place] + put + content[place + len(put) :], name)


def _is_read_or_refused(content: bytes, name: str) -> None:
    try:
        pattern = parse_pattern(content, name)
    except BadInput:
        return
    assert np.all(np.diff(pattern.two_theta_deg) > 0)
    assert np.all(np.isfinite(pattern.counts))
    assert np.all(np.isfinite(pattern.esd) & (pattern.esd > 0))
    assert len(pattern.counts) == len(pattern.esd) == len(pattern.two_theta_deg)
