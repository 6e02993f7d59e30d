"""Reflections of a crystal: where they lie, how strong they are, how strain moves them.

The intensity of a reflection is M·|F|², with

    F(hkl) = Σ_j occ_j (f0_j(s) + f′_j + i f″_j) exp(−B_j s²) exp(2πi h·x_j),  s = sin θ / λ

f0 after Waasmaier & Kirfel, Acta Cryst. A51 (1995) 416; f′ and f″ after Cromer & Liberman
(1970, 1981), both as tabulated in rietx. The mean of |F|² over a Friedel pair is taken, since
a powder shows both.

A strained cell changes the reciprocal metric tensor G*. Only symmetric tensors that every
rotation R of the space group leaves alone (Rᵀ G R = G) may be added, and those span 1 (cubic)
to 6 (triclinic) dimensions; they are found by averaging, so that any setting of any cell works.
"""

import hashlib
import json
from dataclasses import dataclass, fields, replace
from pathlib import Path

import gemmi
import numpy as np
from numpy.typing import NDArray
from rietx.crystallography.attenuation import total_cross_section
from rietx.crystallography.dispersion import dispersion, photoabsorption_barn
from rietx.crystallography.scattering import f0

from alab.errors import BadInput
from analysis.diffraction.arrays import Array
from analysis.diffraction.crystal import Crystal

STRAINS = 6
"""Columns kept for cell strain, whatever the symmetry; unused ones are zero."""
TEXTURES = 3
"""Columns kept for preferred orientation (second order, cylindrical sample)."""

EQUIVALENTS = 24
"""Members of a family {hkl} kept for each line. Up to sign a family has 1, 2, 3, 4, 6, 8, 12
or 24 of them, all of which divide 24."""

_MAX_LINES = 360
_BINS = 120
_CACHE_VERSION = 4
_PER_LINE = ("hkl", "inverse_d2", "strain", "texture", "equivalents", "intensity")


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
        texture: Each harmonic of second order at each line, shape (n, TEXTURES).
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
    texture: Array
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
        reciprocal = _reciprocal_metric(crystal)
        modes, _ = _modes(crystal)
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
    """Lines of a crystal up to a scattering angle.

    Args:
        crystal: The structure.
        wavelength_ang: Wavelength, for the range and for f′, f″.
        max_two_theta_deg: Highest angle wanted.
        cache_dir: Where to keep what was computed, by a hash of everything it depends on.
    """
    if cache_dir is None:
        return _compute(crystal, wavelength_ang, max_two_theta_deg)
    path = cache_dir / f"{_digest(crystal, wavelength_ang, max_two_theta_deg)}.npz"
    if not path.exists():
        lines = _compute(crystal, wavelength_ang, max_two_theta_deg)
        _store(path, lines)
        return lines
    with np.load(path) as kept:
        return Lines(
            stem=crystal.stem,
            strain_modes=int(kept["strain_modes"]),
            density_g_per_cm3=float(kept["density_g_per_cm3"]),
            absorption_per_cm=float(kept["absorption_per_cm"]),
            reciprocal=kept["reciprocal"],
            **{name: kept[name] for name in _PER_LINE},
        )


def _store(path: Path, lines: Lines) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.npz")
    kept = {field.name: getattr(lines, field.name) for field in fields(lines)}
    del kept["stem"]
    np.savez(partial, **kept)
    partial.replace(path)


def _digest(crystal: Crystal, wavelength_ang: float, max_two_theta_deg: float) -> str:
    arrays = (crystal.cell, crystal.positions, crystal.occupancies, crystal.b_iso_ang2)
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays))
    digest.update(np.ascontiguousarray(crystal.rotations).tobytes())
    rest = [crystal.elements, wavelength_ang, max_two_theta_deg, _CACHE_VERSION]
    digest.update(json.dumps(rest).encode())
    return digest.hexdigest()[:32]


def _compute(crystal: Crystal, wavelength_ang: float, max_two_theta_deg: float) -> Lines:
    reciprocal = _reciprocal_metric(crystal)
    limit = (2 * np.sin(np.radians(max_two_theta_deg / 2)) / wavelength_ang) ** 2
    hkl = _indices(reciprocal, limit)
    inverse_d2 = np.einsum("hi,ij,hj->h", hkl, reciprocal, hkl)
    f2 = squared_structure_factors(crystal, hkl, inverse_d2, wavelength_ang)

    named, first, groups = np.unique(
        _representatives(crystal, hkl), axis=0, return_index=True, return_inverse=True
    )
    summed = np.bincount(groups.ravel(), weights=f2)  # M·|F|², Friedel pairs included
    strain_modes, textures = _modes(crystal)
    hkl, inverse_d2 = named.astype(float), inverse_d2[first]
    strain = np.einsum("hi,kij,hj->hk", hkl, strain_modes, hkl)
    texture = np.einsum("hi,kij,hj->hk", hkl, textures, hkl) / inverse_d2[:, None]
    order = np.argsort(inverse_d2, kind="stable")
    return _merge_weak(
        Lines(
            stem=crystal.stem,
            hkl=hkl[order],
            inverse_d2=inverse_d2[order],
            strain=_padded(strain[order], STRAINS),
            texture=_padded(texture[order], TEXTURES),
            equivalents=_equivalents(crystal, hkl[order]),
            intensity=summed[order] / (crystal.mass_g_per_mol * crystal.volume_ang3),
            strain_modes=len(strain_modes),
            reciprocal=reciprocal,
            density_g_per_cm3=crystal.density_g_per_cm3,
            absorption_per_cm=absorption_per_cm(crystal, wavelength_ang),
        )
    )


def _reciprocal_metric(crystal: Crystal) -> Array:
    fractional = np.array(gemmi.UnitCell(*crystal.cell).frac.mat.tolist())
    return fractional @ fractional.T


def _indices(reciprocal: Array, limit: float) -> Array:
    """All hkl except 000 with 1/d² up to ``limit``."""
    direct = np.linalg.inv(reciprocal)
    spans = np.floor(np.sqrt(np.diag(direct) * limit)).astype(int)
    grids = np.meshgrid(*(np.arange(-span, span + 1) for span in spans), indexing="ij")
    hkl = np.stack([grid.ravel() for grid in grids], axis=1).astype(float)
    inverse_d2 = np.einsum("hi,ij,hj->h", hkl, reciprocal, hkl)
    return hkl[(inverse_d2 > 1e-9) & (inverse_d2 <= limit)]


def squared_structure_factors(
    crystal: Crystal, hkl: Array, inverse_d2: Array, wavelength_ang: float
) -> Array:
    """|F|² in electrons squared, per unit cell, shape (n,).

    Args:
        crystal: The structure.
        hkl: Indices, shape (n, 3).
        inverse_d2: 1/d² of each, in Å⁻².
        wavelength_ang: For f′ and f″.
    """
    s = np.sqrt(inverse_d2) / 2
    factor = {
        element: f0(element, s) + complex(*_dispersion(element, wavelength_ang))
        for element in set(crystal.elements)
    }
    total = np.zeros(len(hkl), dtype=complex)
    for element, position, occupancy, b_iso in zip(
        crystal.elements,
        crystal.positions,
        crystal.occupancies,
        crystal.b_iso_ang2,
        strict=True,
    ):
        phase = np.exp(2j * np.pi * (hkl @ position))
        total += occupancy * factor[element] * np.exp(-b_iso * s**2) * phase
    return np.abs(total) ** 2


def _representatives(crystal: Crystal, hkl: Array) -> Array:
    """The largest of the equivalents of each hkl (Laue class), in dictionary order."""
    rotations = np.unique(np.concatenate([crystal.rotations, -crystal.rotations]), axis=0)
    offset = 1 + 2 * int(np.max(np.abs(hkl)))
    scale = np.array([offset**2, offset, 1.0])
    best = np.full(len(hkl), -np.inf)
    chosen = np.empty_like(hkl)
    for rotation in rotations:
        images = hkl @ rotation
        keys = images @ scale
        better = keys > best
        best[better], chosen[better] = keys[better], images[better]
    return np.round(chosen).astype(int)


def _equivalents(crystal: Crystal, hkl: Array) -> NDArray[np.int16]:
    """Images of each hkl under the Laue class, up to sign, shape (n, EQUIVALENTS, 3)."""
    rotations = np.round(crystal.rotations).astype(int).reshape(-1, 9)
    firsts = rotations[np.arange(len(rotations)), np.argmax(rotations != 0, axis=1)]
    rotations = np.unique(rotations * np.sign(firsts)[:, None], axis=0).reshape(-1, 3, 3)
    images = np.einsum("hi,oij->hoj", hkl, rotations)
    repeated = np.tile(images, (1, EQUIVALENTS // len(rotations), 1))
    return np.round(repeated).astype(np.int16)


def absorption_per_cm(crystal: Crystal, wavelength_ang: float) -> float:
    """Linear attenuation coefficient µ = Σ_j occ_j σ_j / V, in cm⁻¹.

    σ is the total cross section after McMaster et al., UCRL-50174 (1969). Where that table has
    a gap or an absorption edge within its 2 % steps, the photoelectric part alone is taken,
    σ = 2 r_e λ f″, with f″ after Cromer & Liberman; scattering, 6 % in NiO, is missing then.

    Args:
        crystal: The structure.
        wavelength_ang: From 0.2 to 4 Å.

    Raises:
        BadInput: If neither table holds an element at this wavelength.
    """
    barns = {
        element: _cross_section_barn(element, wavelength_ang)
        for element in set(crystal.elements)
    }
    atoms = zip(crystal.elements, crystal.occupancies.tolist(), strict=True)
    total = sum(occupancy * barns[element] for element, occupancy in atoms)
    return total / crystal.volume_ang3  # 1 barn/Å³ is 1 cm⁻¹


def _cross_section_barn(element: str, wavelength_ang: float) -> float:
    try:
        return total_cross_section(element, wavelength_ang)
    except (KeyError, ValueError):
        _, f_double_prime = _dispersion(element, wavelength_ang)
        return photoabsorption_barn(f_double_prime, wavelength_ang)


def _dispersion(element: str, wavelength_ang: float) -> tuple[float, float]:
    """f′ and f″ in electrons."""
    try:
        return dispersion(element, wavelength_ang)
    except (KeyError, ValueError) as error:
        raise BadInput(
            f"{element} at {wavelength_ang:g} Å: no f′ and f″ ({error.args[0]}); "
            "leave structures with it out, or measure at another wavelength"
        ) from error


def _modes(crystal: Crystal) -> tuple[Array, Array]:
    """Tensors that the symmetry allows to add to G*, and those that express texture.

    Returns:
        Strain modes, shape (k, 3, 3), each giving Δ(1/d²) ≈ −2 (1/d²) per unit along its own
        direction; and up to TEXTURES traceless modes, shape (m, 3, 3).
    """
    orthogonal = np.array(gemmi.UnitCell(*crystal.cell).orth.mat.tolist())
    inverse = np.linalg.inv(orthogonal)
    # Rotations acting on Cartesian vectors; a symmetric tensor T is allowed if R T Rᵀ = T.
    cartesian = np.array([orthogonal @ rotation @ inverse for rotation in crystal.rotations])
    basis = []
    for i in range(3):
        for j in range(i, 3):
            seed = np.zeros((3, 3))
            seed[i, j] = seed[j, i] = 1.0
            basis.append(np.einsum("oij,jk,olk->il", cartesian, seed, cartesian).ravel())
    allowed = np.array(basis) / len(cartesian)
    _, sizes, directions = np.linalg.svd(allowed)
    tensors = directions[: int(np.sum(sizes > 1e-6 * sizes[0]))].reshape(-1, 3, 3)
    identity = np.eye(3) / np.sqrt(3)
    coefficients = np.einsum("kij,ij->k", tensors, identity)
    traceless = tensors - coefficients[:, None, None] * identity
    _, weights, rows = np.linalg.svd(traceless.reshape(len(tensors), 9), full_matrices=False)
    shear = rows[weights > 1e-6].reshape(-1, 3, 3)
    strain = np.concatenate([[np.eye(3)], shear]) * -2.0
    # h Cartesian = B h with B = (orthogonal⁻¹)ᵀ, so hᵀ (Bᵀ T B) h = |h|² · t(direction).
    pull = np.einsum("ai,kij,bj->kab", inverse, strain, inverse)
    texture = np.einsum("ai,kij,bj->kab", inverse, shear * 1.5, inverse)
    return pull, texture[:TEXTURES]


def _padded(columns: Array, width: int) -> Array:
    return np.pad(columns, ((0, 0), (0, width - columns.shape[1])))


def _merge_weak(lines: Lines) -> Lines:
    """Drop lines of no intensity, and merge the weakest where there are too many."""
    strength = lines.intensity / np.maximum(lines.inverse_d2, 1e-6)  # about Lorentz-weighted
    keep = strength > 1e-6 * np.max(strength)
    chosen = np.flatnonzero(keep)
    if len(chosen) <= _MAX_LINES:
        return _take(lines, chosen)
    ranked = chosen[np.argsort(-strength[chosen], kind="stable")]
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
        texture=np.concatenate([lines.texture[strong], mean(lines.texture[weak])]),
        equivalents=np.concatenate([lines.equivalents[strong], lines.equivalents[strongest]]),
        intensity=np.concatenate([lines.intensity[strong], total]),
    )
    return _take(merged, np.argsort(merged.inverse_d2, kind="stable"))


def _take(lines: Lines, index: NDArray[np.intp]) -> Lines:
    return replace(lines, **{name: getattr(lines, name)[index] for name in _PER_LINE})
