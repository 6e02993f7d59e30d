"""The Prefect server as a child process: what its launcher relies on, and its end."""

import inspect
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from unittest.mock import patch

import pytest

from alab.errors import BadInput
from flows.server import PrefectServer, free_port

POINTER = "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', sys.argv[1]]);"
CHILD = (
    "import threading; from flows.server import end_with_parent;"
    " end_with_parent(); print('ready', flush=True); threading.Event().wait(60)"
)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_method_that_the_launcher_wraps_is_still_there() -> None:
    from prefect.server.database.configurations import AioSqliteConfiguration

    parameters = inspect.signature(AioSqliteConfiguration.begin_transaction).parameters
    assert list(parameters) == ["self", "session", "with_for_update"]


def test_a_used_port_is_named(tmp_path: Path) -> None:
    with patch.dict(os.environ), socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(BadInput, match=f"port {port} is in use.*--prefect-port"):
            PrefectServer(tmp_path, port).start()


def test_free_ports_are_free() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", free_port()))


def test_the_server_process_ends_when_its_parent_is_killed() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", f"{POINTER} print(p.pid, flush=True); p.wait()", CHILD],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert parent.stdout is not None
    with parent.stdout:
        child = int(parent.stdout.readline())
        assert parent.stdout.readline() == "ready\n"
        parent.kill()
        parent.wait()
        assert _ends(child)


def _ends(pid: int) -> bool:
    pause = threading.Event()
    for _ in range(100):
        try:
            os.kill(pid, signal.SIG_DFL)
        except ProcessLookupError:
            return True
        if Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
            return True
        pause.wait(0.05)
    return False
