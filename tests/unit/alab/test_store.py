"""The store: one transaction a change, and clear words when it cannot be opened."""

import os
import sqlite3
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import inspect, select, text
from sqlalchemy.exc import StatementError

from alab.clock import VirtualClock
from alab.errors import StoreError
from alab.lab import DeviceKind, LabDefinition
from alab.laboratory import Laboratory
from alab.models import Atmosphere, PrecursorAmount, Profile, Recipe, Segment
from alab.store.codec import decode, encode, pack, unpack
from alab.store.records import ask, log_event, read_setting, set_device_state, write_setting
from alab.store.store import FILENAME, Store
from alab.store.tables import Base, DeviceRow, EventRow, QuestionRow, SlotRow

NOW = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)


def test_migrations_make_the_tables_that_the_code_knows(empty_store: Store) -> None:
    made = inspect(empty_store.engine)
    assert set(made.get_table_names()) == {*Base.metadata.tables, "alembic_version"}
    for name, table in Base.metadata.tables.items():
        found = {column["name"]: column for column in made.get_columns(name)}
        assert set(found) == {column.name for column in table.columns}
        for column in table.columns:
            assert str(found[column.name]["type"]) == str(
                column.type.compile(empty_store.engine.dialect)
            ), f"{name}.{column.name}"
            assert found[column.name]["nullable"] == column.nullable, f"{name}.{column.name}"


def test_sqlite_is_tuned_for_a_laboratory(empty_store: Store) -> None:
    with empty_store.begin() as session:
        for pragma, value in (
            ("journal_mode", "wal"),
            ("synchronous", 2),  # FULL: an intent is on the disk before its command is sent
            ("foreign_keys", 1),
            ("busy_timeout", 5000),
        ):
            assert session.execute(text(f"PRAGMA {pragma}")).scalar() == value, pragma


def test_change_is_written_whole_or_not_at_all(empty_store: Store) -> None:
    def breaks_off() -> None:
        with empty_store.begin() as session:
            write_setting(session, "seed", "7")
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        breaks_off()
    with empty_store.begin() as session:
        assert read_setting(session, "seed") is None


def test_what_was_written_is_there_for_the_next_process(tmp_path: Path) -> None:
    first = Store.in_directory(tmp_path / "deep" / "data")
    with first.begin() as session:
        write_setting(session, "seed", "7")
        write_setting(session, "seed", "8")
    first.close()
    second = Store.in_directory(tmp_path / "deep" / "data")
    with second.begin() as session:
        assert read_setting(session, "seed") == "8"
    second.close()


def test_directory_of_a_newer_version_is_refused_and_left_alone(
    empty_store: Store, tmp_path: Path
) -> None:
    with empty_store.begin() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    empty_store.close()
    with pytest.raises(StoreError, match=r"newer alab \(schema 9999; .*update alab"):
        Store.in_directory(tmp_path / "data")
    with sqlite3.connect(tmp_path / "data" / FILENAME) as raw:
        assert raw.execute("SELECT version_num FROM alembic_version").fetchone() == ("9999",)
    raw.close()


def test_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="choose another with --data-dir"):
        Store.in_directory(tmp_path / "file" / "data")


@pytest.mark.parametrize("what", ["a folder", "another file"])
def test_database_that_cannot_be_opened(tmp_path: Path, what: str) -> None:
    if what == "a folder":
        (tmp_path / FILENAME).mkdir()
    else:
        (tmp_path / FILENAME).write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreError, match=r"cannot open the lab database .* is writable"):
        Store.in_directory(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_directory_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError):
        Store.in_directory(tmp_path)


@pytest.mark.parametrize("url", ["nonsense", "mongodb://host/alab", "sqlite+nothing://"])
def test_address_that_is_none(url: str) -> None:
    with pytest.raises(StoreError, match=r"write sqlite:////path"):
        Store(url)


def test_statements_are_counted(empty_store: Store) -> None:
    before = empty_store.statements
    with empty_store.begin() as session:
        session.execute(text("SELECT 1"))
        session.execute(text("SELECT 2"))
    assert empty_store.statements == before + 2


def test_stamps_are_aware_utc(empty_store: Store) -> None:
    berlin = timezone(timedelta(hours=1))
    with empty_store.begin() as session:
        log_event(session, NOW.astimezone(berlin), "anna", "s", "hello")
    with empty_store.begin() as session:
        at = session.scalars(select(EventRow.at)).one()
    assert at == NOW
    assert at.utcoffset() == timedelta(0)
    naive = NOW.replace(tzinfo=None)
    with pytest.raises(StatementError, match="naive stamp"), empty_store.begin() as session:
        log_event(session, naive, "anna", "s", "hello")


def test_question_is_put_once_while_it_is_open(empty_store: Store) -> None:
    with empty_store.begin() as session:
        first = ask(session, NOW, "s", "Where is it?", ["here", "there"])
        session.flush()
        assert ask(session, NOW, "s", "Where is it?", ["here", "there"]) is first
        first.answer = "here"
        session.flush()
        assert ask(session, NOW, "s", "And now?", ["here"]) is not first
    with empty_store.begin() as session:
        assert len(session.scalars(select(QuestionRow)).all()) == 2


def test_device_states_are_logged_when_they_change(empty_store: Store) -> None:
    with empty_store.begin() as session:
        for state, identity in (("offline", ""), ("ready", "UR5e 123"), ("ready", "")):
            set_device_state(session, NOW, "arm", state, note="", identity=identity)
            session.flush()
    with empty_store.begin() as session:
        assert session.get_one(DeviceRow, "arm").identity == "UR5e 123"
        assert session.scalars(select(EventRow.text)).all() == ["offline → ready"]


def test_models_survive_as_json() -> None:
    recipe = Recipe(
        target="BaTiO3",
        precursors=(PrecursorAmount(formula="BaCO3", moles=1.0, mass_mg=423.1),),
        reaction="BaCO3 + TiO2 → BaTiO3 + CO2",
        profile=Profile(
            segments=(Segment(ramp_c_per_min=5.0, temperature_c=1000.0, dwell_s=3600.0),)
        ),
        atmosphere=Atmosphere.O2,
        reasons=("because",),
    )
    assert decode(Recipe, unpack(pack(encode(recipe)))) == recipe


@pytest.mark.skipif(
    "ALAB_TEST_POSTGRES" not in os.environ,
    reason="needs ALAB_TEST_POSTGRES=postgresql+psycopg://user@host/an_empty_database",
)
def test_same_laboratory_on_postgresql(
    small_lab: LabDefinition, small_kinds: dict[str, DeviceKind]
) -> None:
    store = Store(os.environ["ALAB_TEST_POSTGRES"])
    try:
        laboratory = Laboratory(small_lab, small_kinds, {}, store, VirtualClock())
        assert laboratory.shelf() == {"BaCO3": 10_000.0, "TiO2": 5_000.0}
        with store.begin() as session:
            ask(session, NOW, "k" * 200, "a key may be long", ["yes"])
            assert session.get_one(SlotRow, "rack.1").sample is None
    finally:
        Base.metadata.drop_all(store.engine)
        with store.begin() as session:
            session.execute(text("DROP TABLE alembic_version"))
        store.close()
