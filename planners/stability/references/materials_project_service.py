"""The Materials Project's own client, with the user's key and the failures told plainly.

Of mp-api the client of one route is used, ``materials/thermo/``, which is REST alone. It asks
``heartbeat`` for the database version, without a key; each other request carries the key in
the header ``x-api-key``.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from alab.errors import AlabError, BadInput

if TYPE_CHECKING:
    from mp_api.client.routes.materials.thermo import ThermoRester
    from requests import Response, Session

KEY_LENGTH = 32
KEYS_FROM = "https://materialsproject.org/api"
PAGE = 250
"""Documents asked for at once: a few MB, well within the client's time-out of 20 s."""

RETRIED = (429, 500, 502, 503, 504)
TRIES_AGAIN = 4


class KeyRefused(BadInput):
    """The Materials Project does not accept the key."""


class MaterialsProjectError(AlabError):
    """The Materials Project did not answer, or not as it should."""

    retryable = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Where to ask, and as whom.

    Attributes:
        key: The user's key; shown nowhere.
        endpoint: Address of the interface, None for the library's own.
        backoff_s: Wait before the second repetition of a request; doubles each time.
        page: Documents asked for at once.

    Raises:
        BadInput: If the key cannot be one, or would be sent in the clear.
    """

    key: str
    endpoint: str | None = None
    backoff_s: float = 0.5
    page: int = PAGE

    def __post_init__(self) -> None:
        if len(self.key) != KEY_LENGTH or not (self.key.isascii() and self.key.isalnum()):
            raise BadInput(
                f"the Materials Project's key has {KEY_LENGTH} letters and digits, and what "
                f"was given is {len(self.key)} characters long or has others in it; copy it "
                f"from {KEYS_FROM}"
            )
        if self.endpoint is not None and not _private(self.endpoint):
            raise BadInput(
                f"anyone on the way could read the key sent to {self.endpoint}; give an "
                "https:// address"
            )

    def __repr__(self) -> str:
        return f"Service(endpoint={self.endpoint!r})"


@contextmanager
def thermo_client(service: Service, fields: Sequence[str]) -> "Iterator[ThermoRester]":
    """The client for thermo documents, open; its failures become ours.

    Args:
        service: Where to ask, and as whom.
        fields: Those of the documents that may be asked for.

    Raises:
        BadInput: If the client is not installed.
        KeyRefused: If the key is not accepted.
        MaterialsProjectError: If the service cannot be reached or is not understood.
    """
    with warnings.catch_warnings():
        # what the client warns of is meant here, or becomes an error
        warnings.simplefilter("ignore")
        make = _client_class(fields)
        with (
            _failures_told(service),
            make(
                api_key=service.key,
                endpoint=service.endpoint,
                session=_session(service),
                use_document_model=False,
                mute_progress_bars=True,
            ) as client,
        ):
            yield client


def _client_class(fields: Sequence[str]) -> "type[ThermoRester]":
    try:
        from mp_api.client.routes.materials.thermo import ThermoRester
    except ImportError as error:
        raise BadInput(
            "the Materials Project's client mp-api is not installed; "
            'pip install "alab[discovery]"'
        ) from error

    class Client(ThermoRester):
        # else it makes the schema of all documents for each field of each request: 0.1 s
        @property
        def available_fields(self) -> list[str]:
            return [*fields]

    return Client


@contextmanager
def _failures_told(service: Service) -> Iterator[None]:
    from mp_api.client.core.exceptions import MPRestError
    from requests.exceptions import ConnectionError as Unreachable, RequestException, Timeout

    try:
        yield
    except (Unreachable, Timeout) as error:
        raise MaterialsProjectError(
            f"{_host(service)} cannot be reached; check the network, and "
            "https://status.materialsproject.org"
        ) from error
    # the client lets a wrong heartbeat through as KeyError, wrong JSON as ValueError
    except (MPRestError, RequestException, KeyError, ValueError) as error:
        told = f"{type(error).__name__}: {error}".replace(service.key, "…")
        raise MaterialsProjectError(
            f"{_host(service)} did not answer as the Materials Project does ({told}); try "
            "again, and look at https://status.materialsproject.org"
        ) from None


def _host(service: Service) -> str:
    return urlsplit(service.endpoint or "//api.materialsproject.org").netloc


def _private(endpoint: str) -> bool:
    """Whether what is sent there cannot be read on the way."""
    address = urlsplit(endpoint)
    return address.scheme == "https" or (
        address.scheme == "http" and address.hostname in ("localhost", "127.0.0.1", "::1")
    )


def _session(service: Service) -> "Session":
    """A session that repeats what failed for the moment, and stops at a refused key."""
    from requests import Session
    from requests.adapters import HTTPAdapter
    from urllib3.util.retry import Retry

    again = Retry(total=TRIES_AGAIN, status_forcelist=RETRIED, backoff_factor=service.backoff_s)
    session = Session()
    session.headers["user-agent"] = f"alab/{version('alab')} mp-api/{version('mp-api')}"
    session.mount("https://", HTTPAdapter(max_retries=again))
    session.mount("http://", HTTPAdapter(max_retries=again))
    session.hooks["response"].append(_stop_if_refused)
    return session


def _stop_if_refused(response: "Response", **_options: object) -> None:
    if response.status_code in (401, 403):
        response.close()
        raise KeyRefused(
            f"{urlsplit(response.url).netloc} refuses the key ({response.status_code}); copy "
            f"it anew from {KEYS_FROM}"
        )
