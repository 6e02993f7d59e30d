"""From the total energy of a potential to a formation energy.

Potentials trained on the Materials Project's calculations predict the energy as VASP prints
it (PBE, with U for some transition metals in oxides and fluorides). A formation energy needs
the corrections of anions and of those metals (MP2020: Wang et al., Sci. Rep. 11, 15496,
2021) and the energies of the elements on the same scale::

    Ef = (E + corrections − Σ n_i ε_i) / Σ n_i
"""

import gzip
import hashlib
import json
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pymatgen.core import Structure
from pymatgen.entries.compatibility import MaterialsProject2020Compatibility
from pymatgen.entries.computed_entries import ComputedStructureEntry

from alab.errors import BadInput
from planners.stability.oracles.oracle import OracleError

Correction = Callable[[Structure, float], float]
"""Energy in eV to add to a cell's total energy in eV."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ElementEnergies:
    """Energies of the elements in their reference states.

    Attributes:
        ev_per_atom: By symbol, on the scale of the potential.
        source: Where they come from.
    """

    ev_per_atom: Mapping[str, float]
    source: str

    @property
    def digest(self) -> str:
        """SHA-256 of the numbers."""
        text = json.dumps(dict(sorted(self.ev_per_atom.items())))
        return hashlib.sha256(text.encode()).hexdigest()

    def of_cell(self, elements: Iterable[str]) -> float:
        """Sum over the sites of a cell, in eV.

        Raises:
            BadInput: If an element has no energy.
        """
        symbols = tuple(elements)
        if missing := sorted(set(symbols) - set(self.ev_per_atom)):
            raise BadInput(
                f"no reference energy of {', '.join(missing)} in {self.source}; add it, or "
                "leave the crystal out"
            )
        return sum(self.ev_per_atom[symbol] for symbol in symbols)


def read_element_energies(path: Path) -> ElementEnergies:
    """Read elements' energies from a JSON file, ``.gz`` or not.

    The file maps symbols to energies in eV per atom, or to pymatgen's ComputedEntry objects
    as the Materials Project gives them (energy of a cell, and its composition).

    Raises:
        OracleError: If the file is missing or is something else.
    """
    try:
        content = path.read_bytes()
        text = gzip.decompress(content) if path.suffix == ".gz" else content
        table = {symbol: _per_atom(entry) for symbol, entry in json.loads(text).items()}
    except FileNotFoundError as error:
        raise OracleError(
            f"no element energies at {path}; give a JSON file of symbols and eV/atom, or of "
            "the elements' ComputedEntry objects"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise OracleError(
            f"{path} holds no element energies ({error}); it must map symbols to eV/atom or "
            "to ComputedEntry objects"
        ) from error
    return ElementEnergies(ev_per_atom=table, source=path.name)


def _per_atom(entry: Any) -> float:
    if isinstance(entry, int | float):
        return float(entry)
    atoms = sum(entry["composition"].values())
    return (float(entry["energy"]) + float(entry.get("correction", 0.0))) / atoms


def uncorrected(structure: Structure, total_ev: float) -> float:  # noqa: ARG001
    """No correction: for intermetallics, or a potential trained on corrected energies."""
    return 0.0


def mp2020(structure: Structure, total_ev: float) -> float:
    """Correction of a Materials Project calculation by the scheme of 2020, in eV per cell.

    Which anion is corrected depends on oxidation states and bond lengths (peroxides), so the
    structure is needed. U is used where the Materials Project uses it.
    """
    hubbards = _hubbards(frozenset(site.specie.symbol for site in structure))
    entry = ComputedStructureEntry(
        structure,
        total_ev,
        parameters={
            "run_type": "GGA+U" if hubbards else "GGA",
            "is_hubbard": bool(hubbards),
            "hubbards": hubbards,
        },
    )
    with warnings.catch_warnings():
        # it warns of oxidation states that cannot be guessed, as in intermetallics
        warnings.simplefilter("ignore")
        corrected = _scheme().process_entry(entry, inplace=False)
    if corrected is None:
        raise BadInput(
            f"{structure.formula} does not fit the corrections of 2020; leave it out"
        )
    return float(corrected.correction)


@cache
def _scheme() -> MaterialsProject2020Compatibility:
    return MaterialsProject2020Compatibility(check_potcar=False)


@cache
def _hubbards(symbols: frozenset[str]) -> dict[str, float]:
    """U in eV by element, as in the Materials Project: only beside O or F."""
    from pymatgen.io.vasp.sets import MPRelaxSet

    anion = next((a for a in ("F", "O") if a in symbols), None)
    if anion is None:
        return {}
    table = MPRelaxSet.CONFIG["INCAR"]["LDAUU"][anion]
    return {s: float(table[s]) for s in sorted(symbols) if table.get(s)}
