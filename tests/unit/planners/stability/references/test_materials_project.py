"""Pulling from a stand-in of the Materials Project over HTTP, with its own client."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from alab.errors import BadInput
from planners.stability.references.entries import Entry
from planners.stability.references.materials_project import (
    Pulled,
    check_fits,
    pull,
    source_of,
    subsystems,
)
from planners.stability.references.materials_project_service import (
    TRIES_AGAIN,
    KeyRefused,
    MaterialsProjectError,
    Service,
)
from planners.stability.references.snapshot import MissingReferenceError, snapshot_of
from planners.stability.references.snapshot_files import append, read

pytest.importorskip("mp_api", reason='needs pip install "alab[discovery]"')

from tests.unit.planners.stability.references.materials_project_stand_in import (
    KEY,
    VERSION,
    StandIn,
    entries,
    running,
)

SOURCE = "Materials Project 2025.09.25, GGA(+U), MP2020"


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    with running() as server:
        yield server


def asked_of(stand_in: StandIn, *systems: str, page: int = 250) -> Pulled:
    return pull(systems, Service(key=KEY, endpoint=stand_in.url, backoff_s=0.0, page=page))


def energies(pulled: Pulled) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for entry in pulled.entries:
        found.setdefault(entry.formula, []).append(entry.formation_energy_ev_per_atom)
    return {formula: sorted(values) for formula, values in found.items()}


def test_a_system_comes_with_its_subsystems_and_formation_energies(stand_in: StandIn) -> None:
    pulled = asked_of(stand_in, "Li-Mn-O")
    assert pulled.systems == ("Li", "Mn", "O", "Li-Mn", "Li-O", "Mn-O", "Li-Mn-O")
    assert (pulled.database_version, pulled.refused) == (VERSION, ())
    # MP2020: −0.687 eV an oxide ion, −1.668 eV a Mn with a U. By hand, in eV a formula unit:
    li, mn, o = -1.9, -8.95, -4.93
    found = energies(pulled)
    assert found["Li2O"] == pytest.approx([(-57.1 / 4 - 0.687 - 2 * li - o) / 3])
    assert found["MnO"] == pytest.approx(
        [(-64.6 / 4 - 0.687 - 1.668 - mn - o) / 2, (-32.0 / 2 - 0.687 - 1.668 - mn - o) / 2]
    )
    assert found["LiMnO2"] == pytest.approx(
        [(-79.0 / 3 - 2 * 0.687 - 1.668 - li - mn - 2 * o) / 4]
    )
    assert found["Li"] == pytest.approx([0.0, 0.05])
    assert found["Mn"] == found["O2"] == [0.0]


def test_entries_carry_structure_name_and_source(stand_in: StandIn) -> None:
    (lithia,) = (e for e in asked_of(stand_in, "Li-O").entries if e.formula == "Li2O")
    row = next(row for row in stand_in.documents if row["formula_pretty"] == "Li2O")
    assert (lithia.entry_id, lithia.source, lithia.measured) == (
        row["material_id"],
        SOURCE,
        False,
    )
    assert lithia.crystal is not None
    assert lithia.crystal.structure() == entries()["mp-1960"].structure
    sources = {e.source for e in asked_of(stand_in, "Mn-O").entries}
    assert sources == {SOURCE, f"{SOURCE}, CC BY-NC"}


def test_pages_are_followed_and_only_the_wanted_hull_is_asked_for(stand_in: StandIn) -> None:
    mixed = [dict(row, thermo_type="GGA_GGA+U_R2SCAN") for row in stand_in.documents]
    stand_in.documents += mixed
    whole = asked_of(stand_in, "Li-Mn-O")
    stand_in.asked.clear()
    assert asked_of(stand_in, "Li-Mn-O", page=1) == whole
    targets = [target for target, _ in stand_in.asked]
    assert sum("_skip=1" in target for target in targets) == 2  # Li and MnO have two each
    assert all("thermo_types=GGA_GGA%2BU&" in f"{t}&" for t in targets if "thermo" in t)


def test_the_key_goes_with_every_request_for_materials_and_into_no_address(
    stand_in: StandIn,
) -> None:
    asked_of(stand_in, "Li-O")
    with_key = {target.split("?")[0]: key for target, key in stand_in.asked}
    assert with_key == {"/heartbeat": False, "/materials/thermo/": True}
    assert not any(KEY in target for target, _ in stand_in.asked)
    assert KEY not in repr(Service(key=KEY))


def test_several_systems_share_their_subsystems(stand_in: StandIn) -> None:
    both = asked_of(stand_in, "O-Li", "Mn-O")
    assert both.systems == ("Li", "Mn", "O", "Li-O", "Mn-O")
    assert sorted(energies(both)) == ["Li", "Li2O", "Mn", "MnO", "O2"]


def test_progress_is_told_of_all(stand_in: StandIn) -> None:
    told: list[tuple[int, int]] = []
    pull(
        ["Li-Mn-O"],
        Service(key=KEY, endpoint=stand_in.url),
        progress=lambda here, all_: told.append((here, all_)),
    )
    assert told == [(2, 8), (3, 8), (4, 8), (4, 8), (5, 8), (7, 8), (8, 8)]


@pytest.mark.parametrize("failures", [[429], [503], [502, 504], [500, 429, 503, 500]])
def test_what_fails_for_the_moment_is_asked_again(
    stand_in: StandIn, failures: list[int]
) -> None:
    stand_in.failures = [*failures]
    assert len(asked_of(stand_in, "Li-O").entries) == 4
    assert stand_in.failures == []


def test_what_fails_for_good_is_an_error(stand_in: StandIn) -> None:
    stand_in.failures = [503] * 20
    with pytest.raises(MaterialsProjectError, match="too many 503") as raised:
        asked_of(stand_in, "Li-O")
    assert raised.value.retryable
    assert len(stand_in.failures) == 20 - 1 - TRIES_AGAIN


def test_a_refused_key_is_told_and_not_shown(stand_in: StandIn) -> None:
    wrong = KEY[::-1]
    with pytest.raises(KeyRefused, match=r"refuses the key \(401\); copy it anew") as raised:
        pull(["Li-O"], Service(key=wrong, endpoint=stand_in.url))
    assert wrong not in str(raised.value)


@pytest.mark.parametrize("key", ["", "short", KEY + "x", KEY[:-1] + "é", KEY[:-1] + "\n"])
def test_what_can_be_no_key_is_not_sent(key: str) -> None:
    with pytest.raises(BadInput, match="32 letters and digits") as raised:
        Service(key=key)
    assert not key or key not in str(raised.value)


@pytest.mark.parametrize(
    "endpoint", ["http://api.materialsproject.org/", "ftp://x/", "api.materialsproject.org"]
)
def test_the_key_is_not_sent_in_the_clear(endpoint: str) -> None:
    with pytest.raises(BadInput, match="give an https:// address"):
        Service(key=KEY, endpoint=endpoint)


def test_a_server_that_is_not_there_is_told() -> None:
    with running() as server:
        gone = server.url
    with pytest.raises(MaterialsProjectError, match=r"127\.0\.0\.1:\d+ cannot be reached"):
        pull(["Li-O"], Service(key=KEY, endpoint=gone))


def test_documents_that_are_lost_on_the_way_are_noticed(stand_in: StandIn) -> None:
    stand_in.lost = 1
    with pytest.raises(MaterialsProjectError, match="has 4 materials in Li, O, Li-O, and sent"):
        asked_of(stand_in, "Li-O")


def test_documents_that_come_twice_are_noticed(stand_in: StandIn) -> None:
    stand_in.documents.append(dict(stand_in.documents[0]))
    with pytest.raises(MaterialsProjectError, match="sent 5, 4 of them different"):
        asked_of(stand_in, "Li-O")


def test_an_unusable_material_is_left_out_with_its_reason(stand_in: StandIn) -> None:
    rows = {row["formula_pretty"]: row for row in stand_in.documents}
    rows["Li2O"]["formation_energy_per_atom"] = None
    rows["LiMnO2"]["entries"] = {}
    sites = rows["MnO"]["entries"]["GGA+U"]["structure"]["sites"]
    sites[0]["species"] = [{"element": "Mn", "occu": 0.5}]
    pulled = asked_of(stand_in, "Li-Mn-O")
    reasons = {refused.name: refused.reason for refused in pulled.refused}
    assert "no formation energy" in reasons[rows["Li2O"]["material_id"]]
    assert "its entries are of none" in reasons[rows["LiMnO2"]["material_id"]]
    assert "partly occupied" in reasons[rows["MnO"]["material_id"]]
    assert sorted(energies(pulled)) == ["Li", "Mn", "MnO", "O2"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"energy_type": 3}, "not understood.*energy_type"),
        ({"entries": {"GGA": {"structure": {"sites": []}}}}, "structure is not understood"),
        ({"formation_energy_per_atom": -57.0}, "not as a total energy"),
    ],
)
def test_a_strange_document_is_refused_alone(
    stand_in: StandIn, change: dict[str, object], reason: str
) -> None:
    row = next(row for row in stand_in.documents if row["formula_pretty"] == "Li2O")
    row |= change
    pulled = asked_of(stand_in, "Li-O")
    assert len(pulled.entries) == 3
    (refused,) = pulled.refused
    assert refused.name == row["material_id"]
    with pytest.raises(BadInput, match=reason):
        raise BadInput(refused.reason)


def test_solid_noble_gases_are_meant(stand_in: StandIn) -> None:
    (xenon,) = asked_of(stand_in, "Xe").entries
    assert (xenon.formula, xenon.formation_energy_ev_per_atom) == ("Xe", 0.0)


def test_an_element_of_which_nothing_is_known_is_an_error(stand_in: StandIn) -> None:
    with pytest.raises(MissingReferenceError, match="no usable material with Fe"):
        asked_of(stand_in, "Li-Fe")


@pytest.mark.parametrize(
    ("systems", "message"),
    [
        ([], "no chemical system"),
        ([""], "'' holds ''"),
        (["Li-Q-O"], "holds 'Q', no element"),
        (["LiMnO2"], "'LiMnO2', no element"),
        (["Li-Be-B-C-N-O-F-Na-Mg-Al"], "has 10 elements; pull systems of at most 9"),
        (["H-Li-Be-B-C-N-O-F", "Na-Mg-Al-Si-P-S-Cl-K-Ca"], "pull them one after the other"),
    ],
)
def test_what_is_no_system_is_refused(systems: list[str], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        subsystems(systems)


def test_releases_and_kinds_of_energy_are_kept_apart(stand_in: StandIn) -> None:
    def holding(source: str, *, measured: bool = False) -> object:
        entry = Entry(
            formula="MgO", formation_energy_ev_per_atom=-3.0, source=source, measured=measured
        )
        return pull(
            ["Li-O"],
            Service(key=KEY, endpoint=stand_in.url),
            into=snapshot_of("ours", [entry]),
        )

    with pytest.raises(MissingReferenceError, match="ours holds 'Materials Project 2023"):
        holding(source_of("2023.11.1"))
    with pytest.raises(MissingReferenceError, match="measured enthalpies"):
        holding("NIST-JANAF", measured=True)
    assert not any("thermo" in target for target, _ in stand_in.asked)
    assert holding(source_of(VERSION, "BY-NC"))
    assert holding("OQMD 1.6")
    check_fits(snapshot_of("x", asked_of(stand_in, "Li-O").entries), VERSION)


def test_a_database_without_a_version_is_refused(stand_in: StandIn) -> None:
    stand_in.version = ""
    with pytest.raises(MaterialsProjectError, match="does not tell its database version"):
        asked_of(stand_in, "Li-O")


def test_a_pull_becomes_a_version_that_reads_back(stand_in: StandIn, tmp_path: Path) -> None:
    pulled = asked_of(stand_in, "Li-Mn-O")
    append(tmp_path / "reference", pulled.entries)
    back = read(tmp_path / "reference")
    assert back.entries == pulled.entries
    lowest = back.lowest("MnO")
    assert lowest is not None
    assert lowest.formation_energy_ev_per_atom == min(energies(pulled)["MnO"])


def test_without_the_client_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mp_api.client.routes.materials.thermo", None)
    with pytest.raises(BadInput, match=r'pip install "alab\[discovery\]"'):
        pull(["Li-O"], Service(key=KEY))
