"""The reference that needs nothing: the project's own table of measured enthalpies."""

from planners.stability.formulas import atoms_of, reduced_formula
from planners.stability.references.entries import Entry
from planners.stability.references.snapshot import Snapshot, snapshot_of
from planners.synthesis.compounds import KJ_PER_MOL_PER_EV, Compound, table


def default_snapshot() -> Snapshot:
    """Measured enthalpies at 298 K of the project's own table: needs no download.

    ΔHf / atoms; gases count as gases at 1 bar. Good for a first hull of common oxides, not
    for judging computed candidates: those are at 0 K and carry the errors of DFT.
    """
    return snapshot_of("own-table-298k", (_measured(row) for row in table().values()))


def _measured(row: Compound) -> Entry:
    energy_ev = row.formation_enthalpy_kj_per_mol / KJ_PER_MOL_PER_EV
    return Entry(
        formula=reduced_formula(row.formula),
        formation_energy_ev_per_atom=energy_ev / sum(atoms_of(row.formula).values()),
        source=f"planners/synthesis/formation_energies.csv, ΔHf(298 K): {row.source}",
        measured=True,
        entry_id=row.formula,
    )
