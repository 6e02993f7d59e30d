"""What the environment says: read once, at the root, and passed down."""

from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from alab.errors import BadInput

PREFIX = "ALAB_"

STRUCTURES = "structures"
"""Folder of the data directory with crystals that are looked for besides the known ones."""


class Settings(BaseSettings):
    """Where a laboratory keeps its state, and where it answers.

    Every field is read from the environment variable of its name, ``ALAB_DATA_DIR`` on.

    Attributes:
        data_dir: Folder with the lab database, the lab file and the service's address.
        lab_file: The lab definition; ``lab.toml`` in the data directory unless given.
        host: Address the service and the Prefect server listen on.
        port: Port of the service and the lab page.
        prefect_port: Port of the Prefect server and its dashboard.
        database_url: SQLAlchemy address of the lab database where it is not the SQLite
            file of the data directory: ``postgresql+psycopg://user@host/alab``.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    data_dir: Path = Path("alab-data")
    lab_file: Path = Field(default_factory=lambda data: data["data_dir"] / "lab.toml")
    host: str = "127.0.0.1"
    port: int = Field(8420, ge=0, le=65535)
    prefect_port: int = Field(4200, ge=0, le=65535)
    database_url: str = ""


def read_settings(data_dir: Path | None = None, **given: Any) -> Settings:
    """Read the environment; what the caller gives (and is not None) goes first.

    Raises:
        BadInput: Naming the variable and what is wrong with it.
    """
    chosen = {"data_dir": data_dir, **given}
    try:
        return Settings(**{key: value for key, value in chosen.items() if value is not None})
    except ValidationError as error:
        raise BadInput(
            "\n".join(
                f"{PREFIX}{'_'.join(map(str, e['loc'])).upper()}={e['input']!r}: {e['msg']}"
                for e in error.errors()
            )
        ) from error
