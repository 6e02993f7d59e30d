"""A server on 127.0.0.1 that answers as the Materials Project's REST interface does.

The documents are made by emmet, the Materials Project's own code: total energies corrected by
MaterialsProject2020Compatibility become thermo documents by ``ThermoDoc.from_entries``. The
routes, parameters and answers are those of emmet-api: ``/heartbeat`` without a key,
``/materials/thermo/`` with ``data`` and ``meta``, ``_limit`` and ``_skip``, 400 for what it
does not know, 401 from the gateway for a wrong key.
"""

import json
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pymatgen.core import Lattice, Structure
from pymatgen.entries.compatibility import MaterialsProject2020Compatibility
from pymatgen.entries.computed_entries import ComputedStructureEntry

KEY = "0123456789abcdefghijABCDEFGHIJ42"
VERSION = "2025.09.25"
MAX_LIMIT = 1000
PARAMETERS = {"chemsys", "thermo_types", "_fields", "_limit", "_skip", "_all_fields"}
DEFAULT_FIELDS = ("thermo_id", "material_id", "last_updated")
POTENTIALS = {"Li": "Li_sv", "Mn": "Mn_pv", "O": "O", "Xe": "Xe"}

CELLS: dict[str, tuple[Structure, float]] = {
    "mp-135": (
        Structure.from_spacegroup("Im-3m", Lattice.cubic(3.44), ["Li"], [[0] * 3]),
        -3.8,
    ),
    "mp-51": (Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.33), ["Li"], [[0] * 3]), -7.4),
    "mp-35": (Structure.from_spacegroup("Im-3m", Lattice.cubic(2.8), ["Mn"], [[0] * 3]), -17.9),
    "mp-12957": (
        Structure(Lattice.cubic(4.5), ["O", "O"], [[0, 0, 0], [0.27, 0, 0]]),
        -9.86,
    ),
    "mp-1960": (
        Structure.from_spacegroup(
            "Fm-3m", Lattice.cubic(4.66), ["Li", "O"], [[0.25] * 3, [0, 0, 0]]
        ),
        -57.1,
    ),
    "mp-19006": (
        Structure.from_spacegroup(
            "Fm-3m", Lattice.cubic(4.45), ["Mn", "O"], [[0, 0, 0], [0.5] * 3]
        ),
        -64.6,
    ),
    "mp-999539": (
        Structure.from_spacegroup(
            "P6_3mc",
            Lattice.hexagonal(3.4, 5.4),
            ["Mn", "O"],
            [[1 / 3, 2 / 3, 0], [1 / 3, 2 / 3, 0.38]],
        ),
        -32.0,
    ),
    "mp-18767": (
        Structure.from_spacegroup(
            "R-3m",
            Lattice.hexagonal(2.88, 14.2),
            ["Li", "Mn", "O"],
            [[0, 0, 0.5], [0, 0, 0], [0, 0, 0.24]],
        ),
        -79.0,
    ),
    "mp-22979": (
        Structure.from_spacegroup("Fm-3m", Lattice.cubic(7.0), ["Xe"], [[0] * 3]),
        -0.1,
    ),
}
"""Structure and uncorrected energy in eV a cell, made up near the true ones."""


@cache
def entries() -> dict[str, ComputedStructureEntry]:
    """What was calculated, with the corrections of 2020, by material."""
    raw = [_entry(name, *cell) for name, cell in CELLS.items()]
    with warnings.catch_warnings():
        # no guess of oxidation states for some; the correction goes by the anion
        warnings.simplefilter("ignore")
        corrected = MaterialsProject2020Compatibility().process_entries(raw, inplace=False)
    found = {entry.data["material_id"]: entry for entry in corrected}
    assert found.keys() == CELLS.keys()
    return found


def _entry(name: str, structure: Structure, energy_ev: float) -> ComputedStructureEntry:
    symbols = sorted({site.specie.symbol for site in structure})
    # the Materials Project puts a U on Mn beside O
    with_u = {"Mn", "O"} <= set(symbols)
    run_type = "GGA+U" if with_u else "GGA"
    return ComputedStructureEntry(
        structure,
        energy_ev,
        entry_id=f"{name}-{run_type}",
        parameters={
            "run_type": run_type,
            "is_hubbard": with_u,
            "hubbards": {s: 3.9 if s == "Mn" else 0.0 for s in symbols} if with_u else {},
            "potcar_symbols": [f"PBE {POTENTIALS[s]}" for s in symbols],
        },
        data={
            "run_type": run_type,
            "material_id": name,
            "task_id": name,
            "license": "BY-NC" if name == "mp-999539" else "BY-C",
            "oxide_type": "oxide" if "O" in symbols and len(symbols) > 1 else "None",
        },
    )


@cache
def _documents() -> str:
    from emmet.core.thermo import ThermoDoc
    from emmet.core.types.enums import ThermoType
    from emmet.core.utils import jsanitize

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = ThermoDoc.from_entries(
            list(entries().values()), ThermoType.GGA_GGA_U, deprecated=False
        )
        rows = [jsanitize(doc.model_dump()) for doc in made]
    return json.dumps(rows)


def documents() -> list[dict[str, Any]]:
    """Thermo documents as the database keeps them; a fresh copy."""
    return json.loads(_documents())


@dataclass
class StandIn:
    """A running server, and how it shall behave.

    Attributes:
        documents: What it has; may be changed by a test.
        version: Release of the database it tells.
        failures: Status codes of the next answers to requests for materials.
        lost: Number of documents that it counts and does not send.
        asked: Addresses of the requests so far, and whether each carried the key.
        url: Where it listens.
    """

    documents: list[dict[str, Any]] = field(default_factory=documents)
    version: str = VERSION
    failures: list[int] = field(default_factory=list)
    lost: int = 0
    asked: list[tuple[str, bool]] = field(default_factory=list)
    url: str = ""

    def answer(self, target: str, key: str | None) -> tuple[int, Any]:
        """Status and content of the answer to a request."""
        self.asked.append((target, key == KEY))
        address = urlsplit(target)
        if address.path == "/heartbeat":
            return 200, {
                "status": "OK",
                "version": "0.87.3",
                "db_version": self.version,
                "access_controlled_batch_ids": [],
            }
        if key != KEY:
            # what a gateway says may repeat what it was sent
            return 401, {"message": f"Invalid authentication credentials: {key}"}
        if self.failures:
            return self.failures.pop(0), {"detail": "Server error"}
        if address.path != "/materials/thermo/":
            return 404, {"message": "no Route matched with those values"}
        return self._materials({name: v[0] for name, v in parse_qs(address.query).items()})

    def _materials(self, query: dict[str, str]) -> tuple[int, Any]:
        if odd := query.keys() - PARAMETERS:
            return 400, {"detail": f"Request contains query parameters which ...: {odd}"}
        limit, skip = int(query.get("_limit", 100)), int(query.get("_skip", 0))
        if limit > MAX_LIMIT:
            return 400, {"detail": "Requested more data per query than allowed"}
        systems, types = (query[name].split(",") for name in ("chemsys", "thermo_types"))
        matching = [
            row
            for row in self.documents
            if row["chemsys"] in systems and row["thermo_type"] in types
        ]
        fields = query["_fields"].split(",") if "_fields" in query else DEFAULT_FIELDS
        there = matching[: len(matching) - self.lost]
        return 200, {
            "data": [
                {name: row[name] for name in fields if name in row}
                for row in there[skip : skip + limit]
            ],
            "meta": {
                "api_version": "0.87.3",
                "total_doc": len(matching),
                "max_limit": MAX_LIMIT,
                "default_fields": list(DEFAULT_FIELDS),
            },
        }


def forget() -> None:
    """Make the client ask again: it keeps what an address told of its release."""
    from mp_api.client.core.client import BaseRester

    BaseRester._get_heartbeat_info.cache_clear()


@contextmanager
def running() -> Iterator[StandIn]:
    """A stand-in that listens on a free port."""
    forget()
    stand_in = StandIn()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, content = stand_in.answer(self.path, self.headers.get("X-API-KEY"))
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing on standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    stand_in.url = f"http://127.0.0.1:{server.server_address[1]}/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield stand_in
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
