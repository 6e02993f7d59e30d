"""Refined structures as CIF, one file for each phase of an analysis.

Cells carry their standard deviations in parentheses as the core dictionary of the IUCr wants
them; the items of powder work are those of its powder dictionary (pdCIF).
"""

import math
from importlib.metadata import version
from pathlib import Path

import gemmi

from alab.errors import BadInput
from analysis.diffraction.result import Analysis, Contribution

_CELL = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
_SITE = (
    "label",
    "type_symbol",
    "site_symmetry_multiplicity",
    "fract_x",
    "fract_y",
    "fract_z",
    "occupancy",
    "adp_type",
    "B_iso_or_equiv",
)
_EQUAL = 1e-6


def refined_cif(analysis: Analysis, index: int) -> gemmi.cif.Document:
    """The refined structure of one phase.

    Args:
        analysis: A refinement.
        index: Which of its phases.

    Raises:
        BadInput: If the analysis was kept without the atoms of its phases.
    """
    part, phase = analysis.contributions[index], analysis.outcome.phases[index]
    if not part.sites:
        raise BadInput(
            f"the atoms of {part.reference} were not kept with this analysis; analyse "
            f"{analysis.origin or 'the pattern'} again"
        )
    document = gemmi.cif.Document()
    block = document.add_new_block(part.reference)
    made = f"alab {version('alab')}: whole-pattern refinement"
    _text(block, "_audit_creation_method", f"{made} of {analysis.origin or analysis.sample}")
    _text(block, "_pd_phase_name", part.formula)
    _text(block, "_chemical_formula_sum", _formula_sum(part))
    volume = gemmi.UnitCell(*part.cell).volume
    for name, value, esd in zip(_CELL, part.cell, part.cell_esds, strict=True):
        block.set_pair(f"_cell_{name}", with_esd(value, esd))
    block.set_pair("_cell_volume", with_esd(volume, _volume_esd(part)))
    block.set_pair("_exptl_crystal_density_diffrn", f"{_mass(part) / volume / 0.602214076:.4f}")
    _text(block, "_space_group_name_H-M_alt", part.space_group)
    block.set_pair("_space_group_IT_number", str(part.number))
    _text(
        block,
        "_refine_special_details",
        "Refined: cell, widths, one displacement factor added to all, texture. Positions and "
        "occupancies are those of the reference.",
    )
    share, share_esd = 100 * phase.weight_fraction, 100 * phase.weight_fraction_esd
    block.set_pair("_pd_phase_mass_%", with_esd(share, share_esd))
    block.set_pair("_pd_proc_ls_prof_wR_factor", f"{analysis.outcome.r_wp_percent / 100:.5f}")
    wavelength = next((p for p in analysis.parameters if p.name == "wavelength Kα₁"), None)
    if wavelength is not None:
        block.set_pair("_diffrn_radiation_wavelength", f"{wavelength.value:.6f}")
    symmetry = block.init_loop("_space_group_symop_", ["operation_xyz"])
    for operation in part.operations:
        symmetry.add_row([gemmi.cif.quote(operation)])
    atoms = block.init_loop("_atom_site_", list(_SITE))
    for site in part.sites:
        atoms.add_row(
            [
                site.label,
                site.element,
                str(site.multiplicity),
                *(f"{coordinate:.6f}" for coordinate in site.position),
                f"{site.occupancy:g}",
                "Biso",
                f"{site.b_iso_ang2:.4f}",
            ]
        )
    return document


def write_cifs(analysis: Analysis, folder: Path, name: str) -> list[Path]:
    """Write NAME-PHASE.cif for each phase.

    Args:
        analysis: A refinement.
        folder: Where to; must exist.
        name: What the names of the files begin with.

    Raises:
        BadInput: If a file cannot be written, or the atoms were not kept.
    """
    written: list[Path] = []
    for index, part in enumerate(analysis.contributions):
        path = folder / f"{name}-{_plain(part.reference)}.cif"
        try:
            path.write_text(refined_cif(analysis, index).as_string(), encoding="utf-8")
        except OSError as error:
            raise BadInput(
                f"cannot write {path}: {error.strerror}; choose a folder that you may write to"
            ) from error
        written.append(path)
    return written


def with_esd(value: float, esd: float) -> str:
    """A number with its standard deviation in parentheses: ``4.0012(3)``.

    One digit of the deviation, two where it begins with 1 (the rule of 19 of Acta Cryst.);
    without one the number to five digits after the point.
    """
    if not (esd > 0 and math.isfinite(esd)):
        return f"{value:.5f}".rstrip("0").rstrip(".")
    digits = -math.floor(math.log10(esd))
    if round(esd * 10**digits) < 2:  # the leading digit is 1
        digits += 1
    digits = max(digits, 0)
    return f"{value:.{digits}f}({round(esd * 10**digits)})"


def _text(block: gemmi.cif.Block, tag: str, text: str) -> None:
    plain = text.encode("ascii", "replace").decode("ascii")  # CIF 1.1 is ASCII
    block.set_pair(tag, gemmi.cif.quote(plain))


def _formula_sum(part: Contribution) -> str:
    content: dict[str, float] = {}
    for site in part.sites:
        amount = site.multiplicity * site.occupancy
        content[site.element] = content.get(site.element, 0.0) + amount
    return " ".join(f"{symbol}{amount:g}" for symbol, amount in sorted(content.items()))


def _mass(part: Contribution) -> float:
    return sum(
        site.multiplicity * site.occupancy * gemmi.Element(site.element).weight
        for site in part.sites
    )


def _volume_esd(part: Contribution) -> float:
    """From the deviations of the cell; what symmetry makes equal moves as one."""
    middle = gemmi.UnitCell(*part.cell).volume
    variance = 0.0
    for first, esd in enumerate(part.cell_esds):
        equal = [
            i
            for i in range(6)
            if i // 3 == first // 3
            and abs(part.cell[i] - part.cell[first]) < _EQUAL
            and part.cell_esds[i] > 0
        ]
        if esd == 0 or first != equal[0]:
            continue
        moved = [v + esd if i in equal else v for i, v in enumerate(part.cell)]
        variance += (gemmi.UnitCell(*moved).volume - middle) ** 2
    return math.sqrt(variance)


def _plain(stem: str) -> str:
    """A stem as part of a file name."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in stem)
