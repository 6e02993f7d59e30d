from datetime import UTC, datetime
from pathlib import Path

import pytest

from alab.errors import BadInput
from analysis.diffraction.instrument import (
    Calibration,
    Goniometer,
    InstrumentFile,
    Profile,
    Radiation,
    read_instrument,
    write_instrument,
)

AERIS = InstrumentFile(
    name='Aeris "2" \\ µ',
    radiation=Radiation(ratio=0.48, kbeta_ratio=0.002),
    goniometer=Goniometer(zero_deg=-0.012, axial_sl=0.03, axial_hl=0.025),
    profile=Profile(u_deg2=0.004, v_deg2=-0.003, w_deg2=0.0031, x_deg=0.02, y_deg=0.015),
    particle_diameter_um=5.0,
    calibration=Calibration(
        standard="SRM 660c LaB6",
        pattern="lab6.xrdml",
        made_at=datetime(2026, 1, 5, 8, 0, tzinfo=UTC),
        r_wp_percent=7.25,
        lines=20,
        two_theta_range_deg=(15.0, 125.0),
        displacement_mm=0.04,
    ),
)


@pytest.mark.parametrize("name", ["a.toml", "a.json"])
def test_what_is_written_is_read(tmp_path: Path, name: str) -> None:
    write_instrument(AERIS, tmp_path / name)
    assert read_instrument(tmp_path / name) == AERIS


def test_a_file_by_hand_may_be_short(tmp_path: Path) -> None:
    path = tmp_path / "short.toml"
    path.write_text('name = "mine"\n[goniometer]\nradius_mm = 240\nzero_deg = 0.01\n')
    instrument = read_instrument(path).to_instrument()
    assert (instrument.radius_mm, instrument.zero_deg) == (240.0, 0.01)
    assert instrument.wavelength1_ang == 1.5405929


def test_the_engine_gets_every_number() -> None:
    instrument = AERIS.to_instrument()
    assert instrument.axial == pytest.approx(0.055)
    assert (instrument.kbeta_ratio, instrument.ratio) == (0.002, 0.48)
    assert (instrument.u_deg2, instrument.v_deg2, instrument.w_deg2) == (0.004, -0.003, 0.0031)
    assert (instrument.x_deg, instrument.y_deg, instrument.zero_deg) == (0.02, 0.015, -0.012)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "name is missing"),
        ('name = "a"\nname = "b"', "no TOML"),
        ('name = "a"\n[goniometer]\nradius_mm = 5', "goniometer.radius_mm = 5: .* 50"),
        ('name = "a"\n[goniometer]\nradius = 145', "goniometer.radius is unknown"),
        ('name = "a"\n[radiation]\nwavelength1_ang = 15.4', "wavelength1_ang = 15.4: .* 3"),
        ('name = "a"\n[radiation]\nratio = "half"', "radiation.ratio = 'half'"),
        ('name = "a"\n[profile]\nw_deg2 = nan', "w_deg2 = nan"),
        ('name = "a"\n[profile]\nv_deg2 = -0.2', "widths at .* Gaussian -"),
        ('name = "a"\n[goniometer]\ndivergence_slit = "wide"', "'wide'.*fixed"),
    ],
)
def test_a_bad_file_names_key_value_and_limit(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(BadInput, match=rf"bad\.toml: .*{said}"):
        read_instrument(path)


def test_every_mistake_is_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text('{"name": "", "goniometer": {"zero_deg": 9}}')
    with pytest.raises(BadInput) as caught:
        read_instrument(path)
    assert len(str(caught.value).splitlines()) == 2


def test_no_file_and_no_folder(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="alab calibrate"):
        read_instrument(tmp_path / "none.toml")
    with pytest.raises(BadInput, match="cannot write"):
        write_instrument(AERIS, tmp_path / "none" / "a.toml")


@pytest.mark.parametrize(
    ("wavelength1_ang", "beta_ang"), [(1.5405929, 1.392234), (0.7093, 0.632303), (0.41, 0.0)]
)
def test_kbeta_is_that_of_the_anode(wavelength1_ang: float, beta_ang: float) -> None:
    tube = Radiation(wavelength1_ang=wavelength1_ang, wavelength2_ang=wavelength1_ang)
    made = InstrumentFile(name="a", radiation=tube).to_instrument()
    assert made.wavelength_beta_ang == beta_ang


def test_slit_and_geometry_reach_the_analysis() -> None:
    path = Goniometer(geometry="transmission", divergence_slit="automatic")
    made = InstrumentFile(name="a", goniometer=path).to_instrument()
    assert (made.automatic_slit, made.transmission) == (True, True)
    usual = InstrumentFile(name="a").to_instrument()
    assert (usual.automatic_slit, usual.transmission) == (False, False)


def test_width_of_pure_parts() -> None:
    """H = √W of a Gaussian, and Y/cos θ of a Lorentzian profile."""
    gauss = Profile(u_deg2=0, v_deg2=0, w_deg2=0.01, x_deg=0, y_deg=0)
    assert gauss.fwhm_deg(60) == pytest.approx(0.1)
    lorentz = Profile(u_deg2=0, v_deg2=0, w_deg2=0, x_deg=0, y_deg=0.08)
    assert lorentz.fwhm_deg(90) == pytest.approx(0.08 * 2**0.5)
