"""The Prefect server with its dashboard, as a child process on loopback.

``python -m flows.server PORT`` is that process. It opens every SQLite transaction as
IMMEDIATE: with Prefect's DEFERRED default, a read that turns into a write beside another
writer fails at once with SQLITE_BUSY_SNAPSHOT, the API answers 503, and the client backs
off for two seconds (measured: ten sub-flows in 28 s instead of 3.7 s).
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx

from alab.errors import BadInput, ServiceUnreachable

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 10.0
PARENT_LOOK_S = 0.5

ENVIRONMENT = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_LOGGING_LEVEL": "WARNING",
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
    "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "50",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
}
"""What a laboratory asks of Prefect: no telemetry, few words, batched writes."""


def configure(data_dir: Path, port: int) -> str:
    """Point this process's Prefect at the server of a data directory, before its import.

    Returns:
        Address of the dashboard.
    """
    url = f"http://127.0.0.1:{port}"
    os.environ.update(
        ENVIRONMENT,
        PREFECT_HOME=str((data_dir / "prefect").resolve()),
        PREFECT_API_URL=f"{url}/api",
    )
    return url


def free_port() -> int:
    """A loopback port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class PrefectServer:
    """A Prefect server that ends with us.

    Args:
        data_dir: Its state lies in ``<data_dir>/prefect``.
        port: Loopback port.
    """

    def __init__(self, data_dir: Path, port: int) -> None:
        self.url = configure(data_dir, port)
        self._data_dir = data_dir
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process; see :meth:`ready`.

        Raises:
            BadInput: If the port is in use.
        """
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", self._port)) == 0:
                raise BadInput(
                    f"port {self._port} is in use; stop what runs there, or choose another "
                    "with --prefect-port"
                )
        folder = self._data_dir / "prefect"
        folder.mkdir(parents=True, exist_ok=True)
        environment = {k: v for k, v in os.environ.items() if k != "PREFECT_API_URL"}
        environment["PREFECT_SERVER_UI_API_URL"] = f"{self.url}/api"
        with (folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "flows.server", str(self._port)],
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,  # Ctrl-C reaches us first; we stop it in order
            )

    async def ready(self) -> None:
        """Wait until the server answers.

        Raises:
            ServiceUnreachable: If it ended, or did not answer in time.
        """
        deadline = asyncio.get_running_loop().time() + START_TIMEOUT_S
        async with httpx.AsyncClient() as client:
            while asyncio.get_running_loop().time() < deadline:
                if self._process is None or self._process.poll() is not None:
                    break
                try:
                    if (await client.get(f"{self.url}/api/health")).is_success:
                        return
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.1)
        raise ServiceUnreachable(
            f"the Prefect server did not start; see {self._data_dir / 'prefect' / 'server.log'}"
        )

    def stop(self) -> None:
        """End the process and wait for it."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


def end_with_parent() -> None:
    """End this process soon after its parent has, however that ended."""
    parent = os.getppid()

    def watch() -> None:
        pause = threading.Event()
        while os.getppid() == parent:
            pause.wait(PARENT_LOOK_S)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="watch parent", daemon=True).start()


def serve(port: int) -> None:
    """Run the server in this process until it is told to end, or its parent has ended."""
    end_with_parent()
    import uvicorn
    from prefect.server.api.server import create_app
    from prefect.server.database.configurations import AioSqliteConfiguration

    begin = AioSqliteConfiguration.begin_transaction

    def begin_immediate(self, session, with_for_update: bool = False):  # noqa: ARG001
        return begin(self, session, with_for_update=True)

    AioSqliteConfiguration.begin_transaction = begin_immediate
    uvicorn.run(create_app(), host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    serve(int(sys.argv[1]))
