"""The command line as a shell sees it, with and without a running laboratory."""

import asyncio
import json
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from alab.cli.main import run
from alab.clock import VirtualClock
from alab.lab import LabDefinition
from alab.laboratory import Laboratory
from alab.service.app import make_app
from alab.store.store import Store
from alab.store.tables import CampaignRow, TargetRow
from drivers.catalog import KINDS
from tests.fakes import Fake

START_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Shell = Callable[..., Ended]


@pytest.fixture
def shell(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Shell:
    """Run ``alab`` in this process, in an empty folder, and return how it ended."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("ALAB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ALAB_OPERATOR", "mira")
    monkeypatch.setenv("COLUMNS", "160")

    def alab(*words: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["alab", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            run()
        captured = capsys.readouterr()
        code = ended.value.code
        return Ended(int(code or 0), captured.out, captured.err)

    return alab


class _Server(uvicorn.Server):
    """Tells when it listens, instead of being asked."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()


@pytest.fixture
def served(data_dir: Path, lab: LabDefinition) -> Iterator[Path]:
    """A data directory on which a laboratory runs; its campaigns end when they start."""
    line = socket.create_server(("127.0.0.1", 0))
    ready = threading.Event()
    servers: list[_Server] = []

    async def serve() -> None:
        store = Store.in_directory(data_dir)
        clock = VirtualClock()
        laboratory = Laboratory(lab, KINDS, {"xrd": Fake("xrd", clock)}, store, clock)

        async def start_campaign(name: str, targets: dict[str, int], most: int) -> None:
            laboratory.start_campaign(name, targets, max_attempts=most)
            with store.begin() as session:
                session.get_one(CampaignRow, name).status = "finished"
                for row in session.query(TargetRow).filter_by(campaign=name):
                    row.status = "made"

        app = make_app(
            laboratory, start_campaign=start_campaign, prefect_url="http://127.0.0.1"
        )
        config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none")
        server = _Server(config)
        servers.append(server)
        ready.set()
        await server.serve(sockets=[line])
        store.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="served laboratory")
    thread.start()
    assert ready.wait(START_TIMEOUT_S)
    assert servers[0].listens.wait(START_TIMEOUT_S)
    url = f"http://127.0.0.1:{line.getsockname()[1]}"
    (data_dir / "service.json").write_text(json.dumps({"url": url, "pid": os.getpid()}))
    yield data_dir
    servers[0].should_exit = True
    thread.join(START_TIMEOUT_S)
    line.close()
