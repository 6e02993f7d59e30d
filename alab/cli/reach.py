"""How a command reaches the laboratory: its service where it runs, else its store."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from alab.client import LabClient, find_service
from alab.errors import StoreError

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from alab.store.store import Store

View = Callable[[Any, "Session"], Any]
"""``lambda views, session: views.queue(session)``; ``alab.views`` comes when it is needed."""


def data_directory(given: Path | None) -> Path:
    """The data directory: as given, else from the environment, else the usual one."""
    if given is not None:
        return given
    from alab.settings import read_settings

    return read_settings().data_dir


def look(data_dir: Path, path: str, view: View, **parameters: Any) -> Any:
    """Read: from the service if it runs, else from the store, which stays as it is.

    Args:
        data_dir: The data directory.
        path: What to GET, below ``/api/``.
        view: The same from the store.
        parameters: Query parameters of the GET.
    """
    url = find_service(data_dir)
    if url is not None:
        with LabClient(url) as client:
            return client.get(path, **parameters)
    from alab import views

    with opened(data_dir, read_only=True) as store, store.begin() as session:
        return view(views, session)


@contextmanager
def opened(data_dir: Path, *, read_only: bool) -> "Iterator[Store]":
    """The store of a data directory that exists already.

    Raises:
        StoreError: If there is none, or it cannot be used.
    """
    from alab.settings import read_settings
    from alab.store.store import FILENAME, Store

    path = data_dir / FILENAME
    elsewhere = read_settings(data_dir).database_url
    if not elsewhere and not path.is_file():
        raise StoreError(
            f"there is no laboratory in {data_dir}; make one with "
            f"'alab init --data-dir {data_dir}', or name another with --data-dir"
        )
    if elsewhere:
        store = Store(elsewhere)
    elif read_only:
        store = Store(f"sqlite:///file:{quote(str(path.resolve()))}?mode=ro&uri=true")
    else:
        store = Store.in_directory(data_dir)
    try:
        yield store
    finally:
        store.close()
