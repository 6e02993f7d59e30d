"""Materials Project entries at temperature, by the descriptor of Bartel et al.

Formation enthalpy from corrected DFT energies, then the machine-learned Gibbs energy of
Bartel et al. (Nat. Commun. 9, 4168, 2018), from volume, reduced mass and temperature alone::

    ΔHf = E − Σ n_i·E_i(lowest entry of the element)
    ΔfG(T) = ΔHf + G^δ(V, m, T) − Σ n_i·g_i(T)

with pymatgen's MaterialsProject2020Compatibility (Wang et al., Sci. Rep. 11, 15496, 2021)
where an entry is not corrected yet, and its GibbsComputedStructureEntry. The hull of the
entries is not needed for this: ΔHf is what ``PhaseDiagram.get_form_energy`` gives.
"""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from monty.json import MontyDecoder
from pymatgen.analysis.compatibility.computed_entries import (
    G_GASES,
    GibbsComputedStructureEntry,
)
from pymatgen.analysis.phase_diagram import PhaseDiagram
from pymatgen.core import Composition, Lattice, Structure
from pymatgen.entries.compatibility import MaterialsProject2020Compatibility
from pymatgen.entries.computed_entries import ComputedEntry, ComputedStructureEntry

from alab.errors import BadInput
from planners.synthesis.compounds import MissingThermoError
from planners.synthesis.curves import Curve
from planners.synthesis.elements import GRID_K, covers, elements_ev
from planners.synthesis.experimental import read_json

DESCRIPTOR_EV_PER_ATOM = 0.130
"""One standard deviation. Bartel et al. report about 50 meV/atom; against measured compounds,
with the errors of DFT enthalpies in them, we found 130 to 170 (docs/thermodynamics.md)."""

HIGHEST_K = 1800.0
"""Where the descriptor's training data end."""

METASTABLE_EV_PER_ATOM = 0.067
"""Nine of ten known metastable phases are no further above the hull (Sun et al., Sci. Adv. 2,
e1600225, 2016); many computed ones beyond were never made."""

_TEMPERATURES_K = GRID_K[GRID_K <= HIGHEST_K]


@dataclass(frozen=True, eq=False)
class ComputedSource:
    """The entries of one file, read when first asked for.

    Attributes:
        path: JSON, or gzipped JSON, of a list of entries (or ``{"entries": [...]}``).
    """

    path: Path
    _curves: dict[str, Curve] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """What it is called in reasons."""
        return f"computed entries {self.path.name}"

    @cached_property
    def entries(self) -> Mapping[str, ComputedEntry]:
        """Lowest corrected entry of each reduced formula, elements among them.

        Raises:
            BadInput: If the file holds no entries, or not those of their elements.
        """
        found = lowest(corrected(read_entries(self.path)))
        symbols = {s for entry in found.values() for s in entry.composition.get_el_amt_dict()}
        if lacking := sorted(s for s in symbols if Composition(s).reduced_formula not in found):
            raise BadInput(
                f"{self.path} lacks entries of {', '.join(lacking)}, the references of its "
                "compounds; store the elements with them"
            )
        return found

    def curve(self, formula: str) -> Curve | None:
        """The curve of a compound by reduced formula, None if no entry has it.

        Raises:
            MissingThermoError: If the entry has no volume.
        """
        if formula not in self.entries or not is_compound(formula):
            return None
        if formula not in self._curves:
            enthalpy = formation_enthalpy_ev_per_atom(formula, self.entries)
            self._curves[formula] = descriptor_curve(
                with_structure(self.entries[formula]), enthalpy
            )
        return self._curves[formula]

    def solids(self) -> tuple[str, ...]:
        """Reduced formulas of the compounds near the hull of the entries at 0 K."""
        diagram = PhaseDiagram(list(self.entries.values()))
        return tuple(
            formula
            for formula, entry in self.entries.items()
            if is_compound(formula)
            and (diagram.get_e_above_hull(entry) or 0.0) <= METASTABLE_EV_PER_ATOM
        )


def read_entries(path: Path) -> list[ComputedEntry]:
    """Entries as the Materials Project's client stores them.

    Raises:
        BadInput: If the file holds anything else.
    """
    content = read_json(path)
    rows = content.get("entries") if isinstance(content, dict) else content
    decoded = MontyDecoder().process_decoded(rows)
    if not isinstance(decoded, list) or not decoded:
        raise BadInput(f"{path} is no list of computed entries; store them with monty's dumpfn")
    for entry in decoded:
        if not isinstance(entry, ComputedEntry):
            raise BadInput(
                f"{path} holds a {type(entry).__name__} among its entries; only ComputedEntry "
                "and ComputedStructureEntry are understood"
            )
    return decoded


def corrected(entries: Iterable[ComputedEntry]) -> list[ComputedEntry]:
    """Entries with the 2020 corrections; those that carry corrections are left alone.

    Raises:
        BadInput: If no entry is compatible with the Materials Project's settings.
    """
    entries = list(entries)
    ready = [entry for entry in entries if entry.energy_adjustments]
    raw = [entry for entry in entries if not entry.energy_adjustments]
    with warnings.catch_warnings():
        # "Failed to guess oxidation states": the correction then goes to the anion alone
        warnings.simplefilter("ignore")
        processed = MaterialsProject2020Compatibility().process_entries(raw, inplace=False)
    if not ready and not processed:
        raise BadInput(
            f"none of {len(entries)} entries fits MaterialsProject2020Compatibility (run type, "
            "potentials and U values of the Materials Project); correct them before"
        )
    return [*ready, *processed]


def lowest(entries: Iterable[ComputedEntry]) -> Mapping[str, ComputedEntry]:
    """The entry of lowest energy per atom for each reduced formula."""
    best: dict[str, ComputedEntry] = {}
    for entry in entries:
        formula = entry.composition.reduced_formula
        if formula not in best or entry.energy_per_atom < best[formula].energy_per_atom:
            best[formula] = entry
    return best


def is_compound(formula: str) -> bool:
    """Whether the descriptor holds for a formula: no element, no gas, elements known."""
    composition = Composition(formula)
    gas = composition.get_integer_formula_and_factor()[0] in G_GASES
    return not composition.is_element and not gas and covers(composition)


def formation_enthalpy_ev_per_atom(formula: str, entries: Mapping[str, ComputedEntry]) -> float:
    """ΔHf of a compound from the elements among the same entries, eV per atom."""
    entry = entries[formula]
    references_ev = sum(
        count * entries[Composition(symbol).reduced_formula].energy_per_atom
        for symbol, count in entry.composition.get_el_amt_dict().items()
    )
    return (entry.energy - references_ev) / entry.composition.num_atoms


def with_structure(entry: ComputedEntry) -> ComputedStructureEntry:
    """The entry, with a stand-in cell of its volume if it has no structure.

    The descriptor reads a structure's volume and composition only.

    Raises:
        MissingThermoError: If the entry has neither structure nor ``data["volume"]``.
    """
    if isinstance(entry, ComputedStructureEntry):
        return entry
    volume_ang3 = entry.data.get("volume")
    if not volume_ang3:
        raise MissingThermoError(
            f"{entry.entry_id} ({entry.composition.reduced_formula}) has neither a structure "
            'nor data["volume"], which the descriptor needs; store one of them'
        )
    cell = cell_of(entry.composition, float(volume_ang3))
    return ComputedStructureEntry(cell, entry.energy, entry_id=entry.entry_id)


def cell_of(composition: Composition, volume_ang3: float) -> Structure:
    """A cube of a volume with the atoms of a composition strung along its diagonal."""
    species = [el for el, count in composition.items() for _ in range(round(count))]
    places = np.repeat(np.linspace(0, 1, len(species), endpoint=False)[:, None], 3, axis=1)
    return Structure(Lattice.cubic(volume_ang3 ** (1 / 3)), species, places)


def descriptor_curve(
    entry: ComputedStructureEntry,
    enthalpy_ev_per_atom: float,
    uncertainty_ev_per_atom: float = DESCRIPTOR_EV_PER_ATOM,
) -> Curve:
    """Apparent Gibbs energy of a computed structure from 300 to 1800 K."""
    composition = entry.structure.composition
    model = GibbsComputedStructureEntry(
        entry.structure, enthalpy_ev_per_atom, entry_id=entry.entry_id
    )
    formation_ev = np.empty_like(_TEMPERATURES_K)
    for i, temperature_k in enumerate(_TEMPERATURES_K):
        model.temp = float(temperature_k)
        formation_ev[i] = model.gf_sisso()
    apparent_ev = formation_ev + elements_ev(composition)[: len(_TEMPERATURES_K)]
    units = composition.num_atoms / composition.reduced_composition.num_atoms
    return Curve(
        formula=composition.reduced_formula,
        temperatures_k=_TEMPERATURES_K,
        energies_ev=apparent_ev / units,
        uncertainty_ev_per_atom=uncertainty_ev_per_atom,
        source=f"{entry.entry_id}, descriptor of Bartel 2018",
        ends_because="the descriptor was trained up to 1800 K",
    )
