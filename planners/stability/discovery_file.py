"""The result of a search as a file: JSON with its version, and a CIF for each candidate.

Both appear whole or not at all, the JSON last. The same search writes the same bytes.
"""

import json
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pymatgen.io.cif import CifWriter

from alab.errors import BadInput
from planners.stability.candidates.lineage import Descent
from planners.stability.crystals import Crystal
from planners.stability.discovery import Discovery, Found
from planners.stability.explanation import why
from planners.stability.screens.verdict import Screen, Verdict

FORMAT = "alab-discovery-1"

_SYMPREC_ANG = 0.05


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Structure(_Model):
    """A crystal.

    Attributes:
        lattice_ang: Lattice vectors as rows.
        elements: Of each site.
        fractional: Coordinates of each site.
    """

    lattice_ang: tuple[tuple[float, float, float], ...]
    elements: tuple[str, ...]
    fractional: tuple[tuple[float, float, float], ...]


class ScreenRow(_Model):
    """What one screen said; see :class:`planners.stability.screens.verdict.Screen`."""

    name: str
    verdict: Verdict
    reason: str
    value_ev_per_atom: float | None = None
    limit_ev_per_atom: float | None = None
    decides: bool = True


class Polymorph(_Model):
    """Another crystal of the same composition."""

    space_group: str
    energy_above_ev_per_atom: float


class CandidateRow(_Model):
    """One candidate; see :class:`planners.stability.discovery.Found`.

    Attributes:
        rank: From 1.
        why: Sentences for people.
        cif: Its structure, a path relative to the file.
    """

    rank: int = Field(ge=1)
    formula: str
    key: str
    origin: str
    space_group: str
    space_group_number: int
    formation_energy_ev_per_atom: float
    interquartile_ev_per_atom: float
    decomposition_energy_ev_per_atom: float
    competes_with: dict[str, float]
    energy_among_candidates_ev_per_atom: float
    competes_among_candidates_with: dict[str, float]
    unsure: bool
    passed: bool
    screens: tuple[ScreenRow, ...]
    why: tuple[str, ...]
    lineage: tuple[Descent, ...]
    polymorphs: tuple[Polymorph, ...]
    structure: Structure
    cif: str


class RivalRow(_Model):
    """A known compound that competes."""

    formula: str
    formation_energy_ev_per_atom: float
    source: str


class Reference(_Model):
    """What the candidates were judged against."""

    name: str
    version: int
    digest: str
    predicted: bool
    compounds: tuple[RivalRow, ...]


class DiscoveryFile(_Model):
    """The whole file."""

    format: Literal["alab-discovery-1"] = FORMAT
    system: tuple[str, ...]
    budget: int
    seed: int
    hull_limit_ev_per_atom: float
    charges_balanced: bool
    predictor: str
    reference: Reference
    parents: int
    generated: int
    predicted: int
    left_out: dict[str, int]
    candidates: tuple[CandidateRow, ...]


def write_discovery(discovery: Discovery, path: Path) -> DiscoveryFile:
    """Write the file, and the CIFs into a folder beside it, in place of an earlier search's.

    Raises:
        BadInput: If that cannot be written, or the folder holds what is not alab's.
    """
    check_place(path)
    content = as_file(discovery, structure_folder(path).name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_whole(path, content)
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror or error}") from error
    return content


def check_place(path: Path) -> None:
    """Make sure that nobody's files are in the folder that the CIFs will replace.

    Raises:
        BadInput: If the folder holds anything but the CIFs that the file beside it names.
    """
    folder = structure_folder(path)
    if not folder.exists():
        return
    own = (
        {Path(row.cif).name for row in read_discovery(path).candidates}
        if path.exists()
        else set()
    )
    strange = sorted(entry.name for entry in folder.iterdir() if entry.name not in own)
    if strange:
        raise BadInput(
            f"{folder} would be replaced and holds {strange[0]}"
            + (f" and {len(strange) - 1} more" if len(strange) > 1 else "")
            + f", which {path.name} does not name; move it, or choose another --out"
        )


def _write_whole(path: Path, content: DiscoveryFile) -> None:
    """Write everything beside its place, then move it there."""
    folder = structure_folder(path)
    drafts = folder.with_name(f"{folder.name}.new")
    draft = path.with_name(f"{path.name}.new")
    try:
        shutil.rmtree(drafts, ignore_errors=True)
        drafts.mkdir()
        for row in content.candidates:
            (drafts / Path(row.cif).name).write_text(cif_of(row), encoding="utf-8")
        draft.write_text(text_of(content), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        drafts.replace(folder)
        draft.replace(path)
    finally:
        shutil.rmtree(drafts, ignore_errors=True)
        draft.unlink(missing_ok=True)


def read_discovery(path: Path) -> DiscoveryFile:
    """Read a file that :func:`write_discovery` wrote.

    Raises:
        BadInput: If it cannot be read, is of another version, or is no such file.
    """
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise BadInput(
            f"{path} is no JSON ({error}); name a file that 'alab discover' wrote"
        ) from error
    found = content.get("format") if isinstance(content, dict) else None
    if found != FORMAT:
        raise BadInput(
            f"{path} is of format {found!r} and this alab reads {FORMAT!r}; search again with "
            "'alab discover', or use the alab that wrote it"
        )
    try:
        return DiscoveryFile.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BadInput(f"{path}: {first['msg']} ({where}); search again") from error


def structure_folder(path: Path) -> Path:
    """Where the CIFs of a file stand."""
    return path.with_name(f"{path.stem}-structures")


def text_of(content: DiscoveryFile) -> str:
    """The text of the file, always the same for the same content."""
    data: Mapping[str, Any] = content.model_dump(mode="json")
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def cif(crystal: Crystal) -> str:
    """A CIF in the conventional cell with its symmetry."""
    with warnings.catch_warnings():
        # a guessed structure's symmetry is found within a tolerance: nothing to warn of
        warnings.simplefilter("ignore")
        return str(CifWriter(crystal.structure(), symprec=_SYMPREC_ANG))


def cif_of(row: CandidateRow) -> str:
    """The CIF of a candidate that was read from a file."""
    crystal = Crystal(
        lattice_ang=row.structure.lattice_ang,
        elements=row.structure.elements,
        fractional=row.structure.fractional,
    )
    return cif(crystal)


def as_file(discovery: Discovery, folder: str) -> DiscoveryFile:
    """A search as the content of its file.

    Args:
        discovery: What came of the search.
        folder: Name of the folder of CIFs beside the file.
    """
    request, reference = discovery.request, discovery.reference
    return DiscoveryFile(
        system=request.system,
        budget=request.budget,
        seed=request.seed,
        hull_limit_ev_per_atom=request.hull_limit_ev_per_atom,
        charges_balanced=request.balanced,
        predictor=discovery.predictor,
        reference=Reference(
            name=reference.name,
            version=reference.version,
            digest=reference.digest,
            predicted=discovery.reference_predicted,
            compounds=tuple(
                RivalRow(
                    formula=entry.formula,
                    formation_energy_ev_per_atom=entry.formation_energy_ev_per_atom,
                    source=entry.source,
                )
                for entry in reference.within(request.system)
            ),
        ),
        parents=discovery.parents,
        generated=discovery.generated,
        predicted=discovery.predicted,
        left_out=discovery.left_out,
        candidates=tuple(
            _row(rank, found, folder) for rank, found in enumerate(discovery.found, start=1)
        ),
    )


def _row(rank: int, found: Found, folder: str) -> CandidateRow:
    return CandidateRow(
        rank=rank,
        formula=found.formula,
        key=found.key,
        origin=found.origin,
        space_group=found.space_group,
        space_group_number=found.space_group_number,
        formation_energy_ev_per_atom=found.formation_energy_ev_per_atom,
        interquartile_ev_per_atom=found.interquartile_ev_per_atom,
        decomposition_energy_ev_per_atom=found.decomposition_energy_ev_per_atom,
        competes_with=found.products,
        energy_among_candidates_ev_per_atom=found.joint_energy_ev_per_atom,
        competes_among_candidates_with=found.joint_products,
        unsure=found.unsure,
        passed=found.passed,
        screens=tuple(_screen(screen) for screen in found.screens),
        why=tuple(why(found)),
        lineage=found.lineage,
        polymorphs=tuple(
            Polymorph(space_group=symbol, energy_above_ev_per_atom=above)
            for symbol, above in found.polymorphs
        ),
        structure=Structure(
            lattice_ang=found.crystal.lattice_ang,
            elements=found.crystal.elements,
            fractional=found.crystal.fractional,
        ),
        cif=f"{folder}/{found.formula}_{found.space_group_number}.cif",
    )


def _screen(screen: Screen) -> ScreenRow:
    return ScreenRow(
        name=screen.name,
        verdict=screen.verdict,
        reason=screen.reason,
        value_ev_per_atom=screen.value_ev_per_atom,
        limit_ev_per_atom=screen.limit_ev_per_atom,
        decides=screen.decides,
    )
