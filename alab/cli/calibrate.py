"""``alab calibrate``: the instrument file of a diffractometer, from the scan of a standard."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alab.cli.options import AsJson, Yes
from alab.cli.output import say, show_facts, show_rows, write_json
from alab.errors import BadInput

if TYPE_CHECKING:
    from analysis.diffraction.calibrate import Calibrated


def calibrate(
    pattern: Annotated[
        Path, typer.Argument(metavar="STANDARD", help="Pattern file of the standard.")
    ],
    phase: Annotated[
        str | None,
        typer.Option(
            help="LaB6, Si or Al2O3 for the newest NIST certificate, or its number: 660 to "
            "660c, 640a to 640f, 676a, 1976."
        ),
    ] = None,
    cif: Annotated[
        Path | None,
        typer.Option(
            help="Structure of another standard, with the cell known of it (CIF).",
            dir_okay=False,
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Instrument file to write (.toml or .json).", dir_okay=False)
    ] = Path("instrument.toml"),
    name: Annotated[
        str | None,
        typer.Option(help="Name of the diffractometer; else that of the file to write."),
    ] = None,
    radius_mm: Annotated[
        float | None,
        typer.Option(
            "--radius",
            help="Radius of the goniometer in mm, if the pattern does not state it.",
            min=50.0,
            max=2000.0,
        ),
    ] = None,
    monochromator_deg: Annotated[
        float | None,
        typer.Option(
            "--monochromator",
            help="2θ of a crystal behind the sample; 26.6 for graphite and Cu.",
            min=0.0,
            max=90.0,
        ),
    ] = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Calibrate a diffractometer with the scan of a standard, and write its instrument file.

    The cell of the standard is fixed at its certificate. Refined are zero, displacement,
    U, V, W, X, Y, axial divergence and the shares of Kα₂, Kβ and W Lα. A pattern that is not
    of the standard is refused.
    """
    if (phase is None) == (cif is None):
        raise BadInput("name the standard with --phase LaB6 (or Si, Al2O3), or with --cif")
    if out.exists() and not yes:
        raise BadInput(f"{out} is there already; write another with --out, or say --yes")

    from analysis.diffraction.calibrate import calibrate as calibrate_pattern
    from analysis.diffraction.instrument import write_instrument
    from analysis.diffraction.pattern import read_pattern
    from analysis.diffraction.standards import own_standard, standard

    known = standard(phase) if phase is not None else own_standard(cif or Path())
    found = calibrate_pattern(
        read_pattern(pattern),
        known,
        name=name or out.stem,
        made_at=datetime.now(UTC),
        radius_mm=radius_mm,
        monochromator_two_theta_deg=monochromator_deg,
    )
    write_instrument(found.instrument, out)
    if as_json:
        write_json(_whole(found, out))
    else:
        _write(found, out)


def _whole(found: "Calibrated", out: Path) -> dict[str, Any]:
    return {
        "file": str(out.resolve()),
        "instrument": found.instrument.model_dump(mode="json", exclude_none=True),
        "esds": found.esds,
        "lines": [
            {
                "hkl": list(line.hkl),
                "two_theta_deg": line.two_theta_deg,
                "fwhm_deg": line.fwhm_deg,
                "counts": line.counts,
            }
            for line in found.lines
        ],
        "warnings": list(found.warnings),
    }


def _write(found: "Calibrated", out: Path) -> None:
    made, esds = found.instrument.calibration, found.esds
    assert made is not None  # noqa: S101 - a calibration was made
    tube, path, profile = (
        found.instrument.radiation,
        found.instrument.goniometer,
        found.instrument.profile,
    )

    def with_esd(key: str, value: float, unit: str) -> str:
        esd = esds.get(key)
        return (
            f"{value:.5f} {unit} (fixed)" if esd is None else f"{value:.5f} ± {esd:.5f} {unit}"
        )

    show_facts(
        {
            "standard": f"{made.standard}, {made.lines} lines",
            "R_wp": f"{made.r_wp_percent:.2f} %",
            "zero": with_esd("zero_deg", path.zero_deg, "°"),
            "displacement": with_esd("displacement_mm", made.displacement_mm, "mm"),
            **{
                key[0].upper(): with_esd(key, getattr(profile, key), "deg²")
                for key in ("u_deg2", "v_deg2", "w_deg2")
            },
            **{
                key[0].upper(): with_esd(key, getattr(profile, key), "°")
                for key in ("x_deg", "y_deg")
            },
            "axial S/L + H/L": with_esd("axial", path.axial_sl + path.axial_hl, ""),
            "Kα₂ / Kα₁": with_esd("ratio", tube.ratio, ""),
            "Kβ / Kα": with_esd("kbeta_ratio", tube.kbeta_ratio, ""),
            "W Lα / Kα": with_esd("wlalpha_ratio", tube.wlalpha_ratio, ""),
        }
    )
    show_rows(
        [
            {
                "hkl": " ".join(map(str, line.hkl)),
                "two_theta": f"{line.two_theta_deg:.3f}",
                "fwhm": f"{line.fwhm_deg:.4f}",
                "counts": f"{line.counts:.0f}",
            }
            for line in found.lines
        ],
        [("hkl", "hkl"), ("2θ / °", "two_theta"), ("FWHM / °", "fwhm"), ("counts", "counts")],
        empty="no lines",
    )
    for warning in found.warnings:
        say(f"warning: {warning}")
    say(f"Wrote {out}")
