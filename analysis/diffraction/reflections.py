"""Reflections of a crystal: where they lie, how strong they are, how strain moves them.

The intensity of a reflection is M·|F|². A strained cell changes the reciprocal metric tensor
G*. Only symmetric tensors that every rotation R of the space group leaves alone (R G Rᵀ = G)
may be added, and those span 1 (cubic) to 6 (triclinic) dimensions; they are found by
averaging, so that any setting of any cell works.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path

import gemmi
import numpy as np
from numpy.typing import NDArray

from analysis.diffraction.arrays import Array
from analysis.diffraction.cache import load_arrays, store_arrays
from analysis.diffraction.crystal import Crystal
from analysis.diffraction.families import (
    Families,
    coefficients,
    equivalents,
    families_of,
    monomials,
    reciprocal_metric,
)
from analysis.diffraction.structure_factors import (
    Reflections,
    absorption_per_cm,
    squared_structure_factors,
)

STRAINS = 6
"""Columns kept for cell strain, whatever the symmetry; unused ones are zero."""
TEXTURES = 3
"""Columns kept for preferred orientation (second order, cylindrical sample)."""

_MAX_LINES = 360
_BINS = 120
_CACHE_VERSION = 6
_PER_LINE = ("hkl", "inverse_d2", "strain", "equivalents", "intensity")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """The diffraction lines of one phase, symmetry equivalents merged.

    Where a phase has more than some hundred lines in range, the weakest are merged into
    narrow groups: their intensity stays, their places become a mean.

    Attributes:
        stem: Name of the structure.
        hkl: Indices of a representative of each line, shape (n, 3).
        inverse_d2: 1/d² of the unstrained cell in Å⁻², rising, shape (n,).
        strain: Change of 1/d² per unit of each strain mode, shape (n, STRAINS). A mode is
            normalised so that strain e changes d-spacings by about e.
        equivalents: Symmetry equivalents of each line, a vector and its opposite counted once,
            each as often as any other, shape (n, EQUIVALENTS, 3). Of merged lines, those of
            the strongest.
        intensity: M·|F|² / (Z·M·V): its factor in a fit is proportional to the mass of the
            phase (Hill & Howard, J. Appl. Cryst. 20 (1987) 467), shape (n,).
        strain_modes: How many strain modes the symmetry allows.
        reciprocal: Metric tensor G* of the unstrained reciprocal cell in Å⁻², shape (3, 3).
        density_g_per_cm3: X-ray density.
        absorption_per_cm: Linear attenuation coefficient µ at the wavelength.
    """

    stem: str
    hkl: Array
    inverse_d2: Array
    strain: Array
    equivalents: NDArray[np.int16]
    intensity: Array
    strain_modes: int
    reciprocal: Array
    density_g_per_cm3: float
    absorption_per_cm: float

    def strained_cell(self, crystal: Crystal, strain: Array) -> Array:
        """Cell of the crystal under a strain: a, b, c in ångström, angles in degrees.

        Args:
            crystal: What these lines are of.
            strain: Amount of each mode, the first ``strain_modes`` of them used.
        """
        reciprocal = reciprocal_metric(crystal)
        modes = _modes(crystal)
        changed = reciprocal + np.einsum("k,kij->ij", strain[: len(modes)], modes)
        metric = np.linalg.inv(changed)
        edges = np.sqrt(np.diag(metric))
        cosines = metric[[1, 0, 0], [2, 2, 1]] / (edges[[1, 0, 0]] * edges[[2, 2, 1]])
        return np.concatenate([edges, np.degrees(np.arccos(cosines))])


def lines_of(
    crystal: Crystal,
    *,
    wavelength_ang: float,
    max_two_theta_deg: float,
    cache_dir: Path | None = None,
) -> Lines:
    """Lines of a crystal up to a scattering angle: ``lines_of_many`` for one."""
    return lines_of_many(
        [crystal],
        wavelength_ang=wavelength_ang,
        max_two_theta_deg=max_two_theta_deg,
        cache_dir=cache_dir,
    )[0]


def lines_of_many(
    crystals: Sequence[Crystal],
    *,
    wavelength_ang: float,
    max_two_theta_deg: float,
    cache_dir: Path | None = None,
) -> list[Lines]:
    """Lines of crystals up to a scattering angle.

    Args:
        crystals: The structures.
        wavelength_ang: Wavelength, for the range and for f′, f″.
        max_two_theta_deg: Highest angle wanted.
        cache_dir: Where to keep what was computed, by a hash of everything it depends on;
            ``cache.user_folder()`` is the usual place. Nothing is kept without it.

    Raises:
        BadInput: If an element has no scattering factors at this wavelength.
    """
    if cache_dir is None:
        return _compute(crystals, wavelength_ang, max_two_theta_deg)
    keys = [_digest(crystal, wavelength_ang, max_two_theta_deg) for crystal in crystals]
    kept = load_arrays(cache_dir, keys)
    new = {key: crystal for key, crystal in zip(keys, crystals, strict=True) if key not in kept}
    computed = dict(
        zip(new, _compute(list(new.values()), wavelength_ang, max_two_theta_deg), strict=True)
    )
    store_arrays(cache_dir, {key: _as_arrays(lines) for key, lines in computed.items()})
    return [
        replace(computed[key], stem=crystal.stem)
        if key in computed
        else _from_arrays(crystal, kept[key])
        for key, crystal in zip(keys, crystals, strict=True)
    ]


def stick_patterns(
    crystals: Sequence[Crystal],
    *,
    wavelength_ang: float,
    max_two_theta_deg: float,
    min_two_theta_deg: float = 0.0,
) -> list[tuple[Array, Array]]:
    """Places and intensities of all lines, as a diffractometer without monochromator has them.

    The intensity is M·|F|² (1 + cos² 2θ) / (sin² θ cos θ).

    Args:
        crystals: The structures.
        wavelength_ang: Wavelength.
        max_two_theta_deg: Highest angle wanted, below 180°.
        min_two_theta_deg: Lowest angle wanted.

    Returns:
        For each crystal 2θ in degrees, rising, and the intensities.
    """
    families = [
        families_of(
            crystal,
            wavelength_ang=wavelength_ang,
            max_two_theta_deg=max_two_theta_deg,
            min_two_theta_deg=min_two_theta_deg,
        )
        for crystal in crystals
    ]
    squares = _squares(families, wavelength_ang)
    found: list[tuple[Array, Array]] = []
    for family, f2 in zip(families, squares, strict=True):
        sin2 = family.inverse_d2 * (wavelength_ang / 2) ** 2
        theta = np.arcsin(np.sqrt(sin2))
        lorentz_polarisation = (1 + (1 - 2 * sin2) ** 2) / (sin2 * np.sqrt(1 - sin2))
        found.append((np.degrees(2 * theta), family.multiplicity * f2 * lorentz_polarisation))
    return found


def _as_arrays(lines: Lines) -> dict[str, NDArray]:
    """What is worth keeping: the equivalents are larger than all else, and soon made."""
    return {
        field.name: np.asarray(getattr(lines, field.name))
        for field in fields(lines)
        if field.name not in ("stem", "equivalents")
    }


def _from_arrays(crystal: Crystal, kept: Mapping[str, Array]) -> Lines:
    return Lines(
        stem=crystal.stem,
        hkl=kept["hkl"],
        inverse_d2=kept["inverse_d2"],
        strain=kept["strain"],
        equivalents=equivalents(crystal, kept["hkl"]),
        intensity=kept["intensity"],
        strain_modes=int(kept["strain_modes"]),
        reciprocal=kept["reciprocal"],
        density_g_per_cm3=float(kept["density_g_per_cm3"]),
        absorption_per_cm=float(kept["absorption_per_cm"]),
    )


def _digest(crystal: Crystal, wavelength_ang: float, max_two_theta_deg: float) -> str:
    arrays = (crystal.cell, crystal.positions, crystal.occupancies, crystal.b_iso_ang2)
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays))
    digest.update(np.ascontiguousarray(crystal.rotations).tobytes())
    rest = [crystal.elements, wavelength_ang, max_two_theta_deg, _CACHE_VERSION]
    digest.update(json.dumps(rest).encode())
    return digest.hexdigest()[:32]


def _compute(
    crystals: Sequence[Crystal], wavelength_ang: float, max_two_theta_deg: float
) -> list[Lines]:
    families = [
        families_of(crystal, wavelength_ang=wavelength_ang, max_two_theta_deg=max_two_theta_deg)
        for crystal in crystals
    ]
    squares = _squares(families, wavelength_ang)
    return [
        _lines(family, f2, wavelength_ang) for family, f2 in zip(families, squares, strict=True)
    ]


def _squares(families: Sequence[Families], wavelength_ang: float) -> list[Array]:
    wanted = [Reflections(one.crystal, one.hkl, one.inverse_d2) for one in families]
    return squared_structure_factors(wanted, wavelength_ang)


def _lines(family: Families, f2: Array, wavelength_ang: float) -> Lines:
    crystal = family.crystal
    strain_modes = _modes(crystal)
    index = _kept(family.multiplicity * f2, family.inverse_d2)
    hkl, inverse_d2 = family.hkl[index].astype(float), family.inverse_d2[index]
    products = monomials(hkl)
    content = crystal.mass_g_per_mol * crystal.volume_ang3
    return _merge_weak(
        Lines(
            stem=crystal.stem,
            hkl=hkl,
            inverse_d2=inverse_d2,
            strain=_padded(products @ coefficients(strain_modes).T, STRAINS),
            equivalents=equivalents(crystal, hkl),
            intensity=family.multiplicity[index] * f2[index] / content,
            strain_modes=len(strain_modes),
            reciprocal=reciprocal_metric(crystal),
            density_g_per_cm3=crystal.density_g_per_cm3,
            absorption_per_cm=absorption_per_cm(crystal, wavelength_ang),
        )
    )


def _modes(crystal: Crystal) -> Array:
    """Tensors that the symmetry allows to add to G*.

    Returns:
        Strain modes, shape (k, 3, 3), each giving Δ(1/d²) ≈ −2 (1/d²) per unit along its own
        direction.
    """
    orthogonal = np.array(gemmi.UnitCell(*crystal.cell).orth.mat.tolist())
    inverse = np.linalg.inv(orthogonal)
    # h Cartesian = B h with B = (orthogonal⁻¹)ᵀ, so hᵀ (Bᵀ T B) h = |h|² · t(direction).
    invariant = _invariant(np.ascontiguousarray(crystal.rotations, dtype=float).tobytes())
    tensors = orthogonal @ invariant @ orthogonal.T
    tensors /= np.linalg.norm(tensors, axis=(1, 2), keepdims=True)
    trace = np.trace(tensors, axis1=1, axis2=2)
    traceless = tensors - trace[:, None, None] * np.eye(3) / 3
    _, _, rows = np.linalg.svd(traceless.reshape(-1, 9), full_matrices=False)
    shear = rows[: len(tensors) - 1].reshape(-1, 3, 3)
    strain = np.concatenate([[np.eye(3)], shear]) * -2.0
    return inverse @ strain @ inverse.T


@lru_cache(maxsize=512)
def _invariant(rotations: bytes) -> Array:
    """A basis of the symmetric tensors T with R T Rᵀ = T for all R, shape (k, 3, 3)."""
    group = np.frombuffer(rotations).reshape(-1, 3, 3)
    basis = np.zeros((6, 3, 3))
    places = [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)]
    for seed, (i, j) in zip(basis, places, strict=True):
        seed[i, j] = seed[j, i] = 1.0
    means = np.einsum("oij,sjk,olk->sil", group, basis, group) / len(group)
    _, sizes, directions = np.linalg.svd(means.reshape(6, 9))
    return directions[: int(np.sum(sizes > 1e-6 * sizes[0]))].reshape(-1, 3, 3)


def _padded(columns: Array, width: int) -> Array:
    return np.pad(columns, ((0, 0), (0, width - columns.shape[1])))


def _strength(intensity: Array, inverse_d2: Array) -> Array:
    return intensity / np.maximum(inverse_d2, 1e-6)  # about Lorentz-weighted


def _kept(intensity: Array, inverse_d2: Array) -> NDArray[np.intp]:
    """Which lines have any intensity."""
    strength = _strength(intensity, inverse_d2)
    return np.flatnonzero(strength > 1e-6 * np.max(strength, initial=0.0))


def _merge_weak(lines: Lines) -> Lines:
    """Merge the weakest lines where there are too many."""
    strength = _strength(lines.intensity, lines.inverse_d2)
    if len(strength) <= _MAX_LINES:
        return lines
    ranked = np.argsort(-strength, kind="stable")
    strong, weak = np.sort(ranked[: _MAX_LINES - _BINS]), np.sort(ranked[_MAX_LINES - _BINS :])
    edges = np.linspace(0.0, np.sqrt(lines.inverse_d2[-1]) + 1e-9, _BINS + 1)
    bins = np.digitize(np.sqrt(lines.inverse_d2[weak]), edges) - 1
    used, group = np.unique(bins, return_inverse=True)
    weights = lines.intensity[weak]
    total = np.bincount(group, weights=weights).astype(float)

    def mean(values: Array) -> Array:
        flat = values.reshape(len(values), -1)
        out = np.stack([np.bincount(group, weights=weights * column) for column in flat.T], 1)
        return (out / total[:, None]).reshape(len(used), *values.shape[1:])

    strongest = np.array(
        [weak[group == g][np.argmax(weights[group == g])] for g in range(len(used))]
    )
    merged = replace(
        lines,
        hkl=np.concatenate([lines.hkl[strong], lines.hkl[strongest]]),
        inverse_d2=np.concatenate([lines.inverse_d2[strong], mean(lines.inverse_d2[weak])]),
        strain=np.concatenate([lines.strain[strong], mean(lines.strain[weak])]),
        equivalents=np.concatenate([lines.equivalents[strong], lines.equivalents[strongest]]),
        intensity=np.concatenate([lines.intensity[strong], total]),
    )
    return _take(merged, np.argsort(merged.inverse_d2, kind="stable"))


def _take(lines: Lines, index: NDArray[np.intp]) -> Lines:
    return replace(lines, **{name: getattr(lines, name)[index] for name in _PER_LINE})
