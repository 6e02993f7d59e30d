"""Nequix as an ASE calculator: few compiled sizes, single precision, nothing global.

Nequix (Koker et al., 2025) is an equivariant potential in JAX. The package's own
calculator compiles anew for every number of atoms and edges and needs double precision
switched off for the whole process. Here only the energy of a list of displacements runs in
JAX, padded to one of few sizes; forces and stress follow from its derivative g by edge::

    F_i = Σ_out g − Σ_in g,    σ = (1/V) Σ_edges r ⊗ g

Importing this module needs the ``oracle`` extra.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress
from matscipy.neighbours import neighbour_list
from numpy.typing import NDArray

from planners.stability.oracles.oracle import OracleError

_precision = jax.config.jax_default_matmul_precision  # pyright: ignore[reportAttributeAccessIssue]
import equinox as eqx  # noqa: E402
from nequix.model import Nequix, load_model  # noqa: E402

# nequix sets this for the whole process when it is imported
jax.config.update("jax_default_matmul_precision", _precision)

FloatArray = NDArray[np.float64]


@contextmanager
def single_precision() -> Iterator[None]:
    """Run JAX as Nequix was written for, whatever the process has set."""
    with ExitStack() as stack:
        stack.enter_context(jax.enable_x64(False))  # noqa: FBT003
        stack.enter_context(jax.numpy_dtype_promotion("standard"))
        stack.enter_context(jax.numpy_rank_promotion("allow"))
        stack.enter_context(jax.default_matmul_precision("highest"))
        yield


def padded_size(atoms: int, edges: int) -> tuple[int, int]:
    """Atoms and edges to pad to: 16 and 256, and twice as many until both fit.

    One atom is left over for the padding edges. Compiling a size takes as long as about a
    hundred evaluations of a small cell, so that few sizes pay.
    """
    most_atoms, most_edges = 16, 256
    while most_edges < edges or most_atoms <= atoms:
        most_atoms, most_edges = 2 * most_atoms, 2 * most_edges
    return most_atoms, most_edges


class NequixCalculator(Calculator):
    """Energy, forces and stress of periodic crystals by Nequix.

    Args:
        path: Weights, a ``.nqx`` file.

    Raises:
        OracleError: If the file is missing or holds no Nequix weights.
    """

    implemented_properties = ["energy", "free_energy", "forces", "stress"]  # noqa: RUF012

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._model, config = read_weights(path)
        self.cutoff_ang = float(config["cutoff"])
        numbers = sorted(int(z) for z in config["atomic_numbers"])
        self._species = {z: i for i, z in enumerate(numbers)}

    @property
    def atomic_numbers(self) -> frozenset[int]:
        """Elements the weights were trained on."""
        return frozenset(self._species)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Fill ``results``, as ASE asks."""
        super().calculate(atoms, properties, system_changes)
        assert atoms is not None  # noqa: S101 - ASE always hands them over
        receivers, senders, apart = neighbour_list("ijD", atoms, self.cutoff_ang)
        species = np.array([self._species[z] for z in atoms.numbers])
        energy_ev, gradient = self._energy(species, senders, receivers, apart)
        forces = np.zeros((len(atoms), 3))
        np.add.at(forces, receivers, gradient)
        np.subtract.at(forces, senders, gradient)
        virial = apart.T @ gradient
        stress = full_3x3_to_voigt_6_stress((virial + virial.T) / 2 / atoms.get_volume())
        self.results = {
            "energy": energy_ev,
            "free_energy": energy_ev,
            "forces": forces,
            "stress": stress,
        }

    def _energy(
        self, species: NDArray[Any], senders: NDArray[Any], receivers: NDArray[Any], apart: Any
    ) -> tuple[float, FloatArray]:
        """Total energy, and its derivative by each displacement, shape (edges, 3)."""
        atoms, edges = len(species), len(senders)
        most_atoms, most_edges = padded_size(atoms, edges)
        beyond = np.full((most_edges, 3), 2 * self.cutoff_ang, np.float32)
        beyond[:edges] = apart
        with single_precision():
            energies, gradient = _energies_and_gradient(
                self._model,
                beyond,
                _padded(species, most_atoms, 0),
                _padded(senders, most_edges, most_atoms - 1),
                _padded(receivers, most_edges, most_atoms - 1),
            )
        by_atom = np.asarray(energies, dtype=np.float64)[:atoms]
        return float(by_atom.sum()), np.asarray(gradient, dtype=np.float64)[:edges]


def read_weights(path: Path) -> tuple[Nequix, dict[str, Any]]:
    """Model and settings of a ``.nqx`` file: a line of JSON, then the arrays.

    Raises:
        OracleError: If the file is missing or holds something else.
    """
    if not path.is_file():
        raise OracleError(
            f"no Nequix weights at {path}; give the path of a .nqx file, or set ALAB_NEQUIX"
        )
    try:
        with path.open("rb") as file:
            json.loads(file.readline())["cutoff"]
        with single_precision():
            return load_model(str(path), kernel=False)
    except (ValueError, KeyError, TypeError, EOFError, RuntimeError) as error:
        raise OracleError(
            f"{path} holds no Nequix weights ({type(error).__name__}: {error}); get the .nqx "
            "file again"
        ) from error


@eqx.filter_jit
def _energies_and_gradient(
    model: Nequix, apart: Any, species: Any, senders: Any, receivers: Any
) -> tuple[Any, Any]:
    def total(displacements: Any) -> tuple[Any, Any]:
        by_atom = model.node_energies(displacements, species, senders, receivers)[:, 0]
        return by_atom.sum(), by_atom

    (_, by_atom), gradient = jax.value_and_grad(total, has_aux=True)(apart)
    return by_atom, gradient


def _padded(values: NDArray[Any], size: int, fill: int) -> NDArray[np.int32]:
    row = np.full(size, fill, np.int32)
    row[: len(values)] = values
    return row
