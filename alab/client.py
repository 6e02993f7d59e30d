"""Ask the laboratory that runs on a data directory.

A running laboratory writes its address into ``service.json`` in its data directory. A
file left behind by one that was killed is recognised by its process being gone.
"""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alab import errors
from alab.errors import AlabError, BadInput, ServiceUnreachable

if TYPE_CHECKING:
    import httpx

SERVICE_FILE = "service.json"
TIMEOUT_S = 30.0
START_TIMEOUT_S = 300.0
"""Starting a campaign balances reactions for every target before it answers."""


def no_service(data_dir: Path) -> ServiceUnreachable:
    """The error that says that none runs, and how to start one."""
    return ServiceUnreachable(
        f"no laboratory runs on {data_dir}; start it with 'alab up --data-dir {data_dir}' "
        "(and --simulate for a simulated one), or name another with --data-dir"
    )


def find_service(data_dir: Path) -> str | None:
    """The address of the laboratory that runs on a data directory, None without one.

    Raises:
        ServiceUnreachable: If the file that should tell is not readable.
    """
    path = data_dir / SERVICE_FILE
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
        url, pid = str(written["url"]), int(written["pid"])
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ServiceUnreachable(
            f"{path} is not readable ({type(error).__name__}: {error}); "
            "if no laboratory runs there, remove it"
        ) from error
    return url if _is_alive(pid) else None


def _is_alive(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # it runs, as somebody else
    return True


class LabClient:
    """Talks to one running laboratory.

    Args:
        url: Its address.
        transport: Another way to reach it, for tests.
    """

    def __init__(self, url: str, *, transport: "httpx.BaseTransport | None" = None) -> None:
        import httpx  # 0.1 s that a command without a service does not spend

        self.url = url.rstrip("/")
        # trust_env=False: a proxy has no business between us and our own machine
        self._http = httpx.Client(
            base_url=self.url, timeout=TIMEOUT_S, transport=transport, trust_env=False
        )

    @classmethod
    def on(cls, data_dir: Path) -> "LabClient":
        """The laboratory that runs on a data directory.

        Raises:
            ServiceUnreachable: If none does.
        """
        url = find_service(data_dir)
        if url is None:
            raise no_service(data_dir)
        return cls(url)

    def get(self, path: str, **parameters: Any) -> Any:
        """Ask, and return the JSON of the answer.

        Raises:
            AlabError: What the laboratory refused with, as the class it raised.
            ServiceUnreachable: If it does not answer.
        """
        given = {key: value for key, value in parameters.items() if value is not None}
        return self._send("GET", path, params=given)

    def post(self, path: str, *, by: str, timeout_s: float = TIMEOUT_S, **body: Any) -> Any:
        """Ask for a change, signed, and return the JSON of the answer.

        Raises:
            AlabError: What the laboratory refused with, as the class it raised.
            ServiceUnreachable: If it does not answer.
        """
        return self._send("POST", path, json={"by": by, **body}, timeout=timeout_s)

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def __enter__(self) -> "LabClient":
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def _send(self, method: str, path: str, **how: Any) -> Any:
        import httpx

        if "" in path.split("/"):
            raise BadInput("the name is empty; say which one is meant")
        try:
            response = self._http.request(method, f"/api/{path}", **how)
        except httpx.TimeoutException as error:
            raise ServiceUnreachable(
                f"the laboratory at {self.url} did not answer {method} {path} in time; "
                "what was asked for may still happen: look before you ask again"
            ) from error
        except httpx.TransportError as error:
            raise ServiceUnreachable(
                f"the laboratory at {self.url} does not answer ({error}); "
                "see whether 'alab up' still runs, or start it again"
            ) from error
        if response.is_success:
            return response.json()
        raise _refusal(response, f"{method} {path}")


def _refusal(response: "httpx.Response", asked: str) -> AlabError:
    """The error that the service answered with, as near to its class as can be told."""
    if response.headers.get("content-type", "").startswith("application/problem+json"):
        problem = response.json()
        kind = getattr(errors, str(problem.get("title")), AlabError)
        if not (isinstance(kind, type) and issubclass(kind, AlabError)) or issubclass(
            kind, errors.DeviceError
        ):
            kind = AlabError
        return kind(problem.get("detail", ""))
    if response.status_code == 404:
        return BadInput(f"the laboratory has no answer to {asked} (404)")
    return AlabError(
        f"the laboratory failed to answer {asked} ({response.status_code}); its log says why"
    )
