"""The one transactional store: SQLite in WAL mode, or PostgreSQL by its address.

Every change is one short transaction::

    with store.begin() as session:
        session.add(...)

Nothing is kept open while a device works or a person thinks.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Engine, create_engine, event, inspect, text
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from alab.errors import StoreError

MIGRATIONS = Path(__file__).with_name("migrations")
FILENAME = "lab.sqlite3"


class Store:
    """The lab database.

    Args:
        url: SQLAlchemy address, ``sqlite:////path/lab.sqlite3`` or
            ``postgresql+psycopg://user@host/alab``.

    Raises:
        StoreError: If it cannot be opened, or was written by a newer version of alab.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = _engine(url)
        self.statements = 0
        try:
            _migrate(self.engine)
        except DBAPIError as error:
            self.engine.dispose()
            raise StoreError(
                f"cannot open the lab database {self.engine.url.render_as_string()}: "
                f"{error.orig}; check that the folder exists, is writable and is not in use "
                "by another laboratory"
            ) from error
        except StoreError:
            self.engine.dispose()
            raise
        event.listen(self.engine, "before_cursor_execute", self._count)
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)

    @classmethod
    def in_directory(cls, data_dir: Path) -> "Store":
        """Open the database of a data directory, making both where they are missing.

        Raises:
            StoreError: If the directory cannot be made or written.
        """
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"cannot make the data directory {data_dir}: {error.strerror}; "
                "choose another with --data-dir"
            ) from error
        return cls(f"sqlite:///{data_dir.resolve() / FILENAME}")

    @contextmanager
    def begin(self) -> Iterator[Session]:
        """A session whose changes are committed together, or not at all."""
        with self._sessions.begin() as session:
            yield session

    def close(self) -> None:
        """Release all connections."""
        self.engine.dispose()

    def _count(self, *_args: object) -> None:
        self.statements += 1


def _engine(url: str) -> Engine:
    try:
        engine = create_engine(url)
    except (ArgumentError, ModuleNotFoundError) as error:
        raise StoreError(
            f"cannot use {url.split('@')[-1]!r} as a lab database: {error}; write "
            "sqlite:////path/lab.sqlite3 or postgresql+psycopg://user@host/alab "
            "(the latter with the extra alab[postgres])"
        ) from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _tune_sqlite)
    return engine


def _tune_sqlite(connection: object, _record: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined]
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",  # an intent is on the disk before its command is sent
        "foreign_keys = ON",
        "busy_timeout = 5000",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _migrate(engine: Engine) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    scripts = ScriptDirectory.from_config(config)
    with engine.begin() as connection:
        if inspect(connection).has_table("alembic_version"):
            found = str(
                connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
            )
            if found == scripts.get_current_head():
                return
            try:
                scripts.get_revision(found)
            except CommandError as error:
                raise StoreError(
                    f"the lab database {engine.url.render_as_string()} was written by a newer "
                    f"alab (schema {found}; this one knows up to "
                    f"{scripts.get_current_head()}); update alab, or use another --data-dir"
                ) from error
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
