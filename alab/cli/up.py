"""``alab up``: the laboratory, its service with the lab page, and the Prefect server."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
import uvicorn
from rich.markup import escape

from alab.cli.options import AsJson, DataDir
from alab.cli.output import screen, write_json
from alab.cli.reach import data_directory
from alab.client import SERVICE_FILE
from alab.errors import BadInput
from alab.runtime import DEFAULT_SEED, Runtime, Simulation, read_lab, running
from alab.service.app import make_app
from alab.settings import Settings, read_settings
from flows.server import PrefectServer


def up(
    data_dir: DataDir = None,
    simulate: Annotated[
        bool,
        typer.Option("--simulate", help="Replace every device by its simulator."),
    ] = False,
    seed: Annotated[
        int, typer.Option(help="Seed of a new simulated world; an old one keeps its own.")
    ] = DEFAULT_SEED,
    speed: Annotated[
        float | None,
        typer.Option(
            help="Laboratory seconds per second of a simulation.",
            min=0.1,
            max=100_000,
            show_default="jump from event to event",
        ),
    ] = None,
    off: Annotated[
        str, typer.Option(help="Simulated devices that are switched off, commas between.")
    ] = "",
    port: Annotated[
        int | None, typer.Option(help="Port of the service.", show_default="8420")
    ] = None,
    prefect_port: Annotated[
        int | None, typer.Option(help="Port of the Prefect server.", show_default="4200")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Start the laboratory: its service with the lab page, Prefect, and the flows.

    Everything listens on loopback, and stops in order on Ctrl-C; campaigns go on where
    they were at the next start.
    """
    given = {"port": port, "prefect_port": prefect_port}
    settings = read_settings(data_directory(data_dir), **given)
    simulation = None
    if simulate:
        simulation = Simulation(seed=seed, speed=speed, off=_devices(off, settings.lab_file))
    _check_port(settings.port, "--port")
    server = PrefectServer(settings.data_dir, settings.prefect_port)
    server.start()
    try:
        asyncio.run(_serve(settings, simulation, server, as_json=as_json))
    finally:
        server.stop()
    screen(errors=as_json).print(
        "Stopped; everything is kept in " + escape(str(settings.data_dir))
    )


def _devices(off: str, lab_file: Path) -> frozenset[str]:
    """The devices to switch off, all of which the laboratory has."""
    names = frozenset(word.strip() for word in off.split(",") if word.strip())
    if names:
        known = read_lab(lab_file if lab_file.exists() else None).devices
        if unknown := sorted(names - set(known)):
            raise BadInput(
                f"--off names {', '.join(unknown)}, which the laboratory does not have; "
                f"it has {', '.join(known)}"
            )
    return names


async def _serve(
    settings: Settings,
    simulation: Simulation | None,
    server: PrefectServer,
    *,
    as_json: bool,
) -> None:
    lab_file = settings.lab_file if settings.lab_file.exists() or simulation is None else None
    console = screen(errors=as_json)
    console.print("Starting the laboratory …")
    async with running(
        settings.data_dir,
        lab_file,
        simulation=simulation,
        database_url=settings.database_url,
    ) as runtime:
        await server.ready()
        app = make_app(
            runtime.laboratory, start_campaign=runtime.start_campaign, prefect_url=server.url
        )
        quiet = uvicorn.Config(
            app, host=settings.host, port=settings.port, log_level="warning", lifespan="off"
        )
        service = uvicorn.Server(quiet)
        service.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, lambda: setattr(service, "should_exit", True))
        url = f"http://{settings.host}:{settings.port}"
        with _announced(settings.data_dir, url, server.url):
            _tell(runtime, url, server.url, as_json=as_json)
            await service.serve()
        console.print("Stopping …")


def _tell(runtime: Runtime, url: str, prefect_url: str, *, as_json: bool) -> None:
    if as_json:
        offline = dict(runtime.offline)
        write_json({"url": url, "prefect_url": prefect_url, "offline": offline})
        sys.stdout.flush()
    console = screen(errors=as_json)
    for reason in runtime.offline.values():
        console.print(f"[yellow]offline:[/] {escape(reason)}")
    console.print(f"Lab page           [bold]{url}[/]")
    console.print(f"Prefect dashboard  [bold]{prefect_url}[/]")
    console.print("Ctrl-C stops both. From another terminal: alab campaign start NAME")


@contextmanager
def _announced(data_dir: Path, url: str, prefect_url: str) -> Iterator[None]:
    """Tell other terminals where the service answers, while it does."""
    path = data_dir / SERVICE_FILE
    path.write_text(
        json.dumps({"url": url, "pid": os.getpid(), "prefect_url": prefect_url}) + "\n"
    )
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _check_port(port: int, option: str) -> None:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise BadInput(
                f"port {port} is in use; stop what runs there, or choose another with {option}"
            )
