"""``alab demo``: a simulated campaign from nothing, on the terminal and as a report."""

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from alab import views
from alab.cli.options import AsJson
from alab.cli.output import coloured, percent, screen, write_json
from alab.errors import BadInput
from alab.laboratory import Laboratory
from alab.report.report import write_report
from alab.runtime import DEFAULT_SEED, Runtime, Simulation, running
from alab.store.store import FILENAME
from flows.server import PrefectServer, free_port

TARGETS = ("BaTiO3", "YPO4", "ZnFe2O4", "LiMn2O4", "MgAl2O4", "NaZr2(PO4)3")
CAMPAIGN = "demo"
MAX_ATTEMPTS = 5
REFRESH_S = 0.25
TOLD = ("characterised", "decided", "failed", "ALARM", "QUESTION")
"""How the events begin that are told one by one."""


def demo(
    data_dir: Annotated[
        Path,
        typer.Option(
            "--data-dir", help="Where the demo keeps its state and report; made anew."
        ),
    ] = Path("alab-demo"),
    seed: Annotated[
        int, typer.Option(help="Seed of the simulated world: same seed, same campaign.")
    ] = DEFAULT_SEED,
    targets: Annotated[str, typer.Option(help="Formulas with commas between.")] = ",".join(
        TARGETS
    ),
    as_json: AsJson = False,
) -> None:
    """Run a simulated campaign from nothing, and write its report.

    Six oxides and phosphates are planned, weighed, fired, measured and refined on
    simulated devices that speak their real protocols; every retry is explained.
    """
    _clear(data_dir)
    formulas = _checked(targets)
    console = screen(errors=as_json)
    console.print(
        f"A simulated laboratory in [bold]{data_dir}[/]: starting devices, Prefect and flows …"
    )
    server = PrefectServer(data_dir, free_port())
    server.start()
    try:
        result = asyncio.run(_run(data_dir, seed, formulas, server, console))
    finally:
        server.stop()
    if as_json:
        write_json(result)


def _clear(data_dir: Path) -> None:
    """Remove an earlier demo, and nothing else."""
    if not data_dir.exists() or not any(data_dir.iterdir()):
        return
    if not (data_dir / FILENAME).exists():
        raise BadInput(f"{data_dir} holds something else; choose another --data-dir")
    if (data_dir / "lab.toml").exists():
        raise BadInput(
            f"{data_dir} belongs to a laboratory ('alab init'); choose another --data-dir"
        )
    shutil.rmtree(data_dir)


def _checked(targets: str) -> list[str]:
    from alab.runtime import read_lab
    from planners.synthesis.screen import check_target

    shelf = {f: p.mass_g * 1000 for f, p in read_lab(None).precursors.items()}
    return [check_target(word.strip(), shelf) for word in targets.split(",") if word.strip()]


async def _run(
    data_dir: Path, seed: int, formulas: list[str], server: PrefectServer, console: Console
) -> Any:
    async with running(data_dir, simulation=Simulation(seed=seed)) as runtime:
        await server.ready()
        await runtime.start_campaign(CAMPAIGN, dict.fromkeys(formulas, 0), MAX_ATTEMPTS)
        ended = asyncio.create_task(runtime.finished(CAMPAIGN))
        with _live(runtime, console) as show:
            while not ended.done():
                show()
                await asyncio.wait([ended], timeout=REFRESH_S)
            show()
        await ended
        laboratory = runtime.laboratory
        report = write_report(laboratory.store, CAMPAIGN, data_dir / "report.html")
        return _outcomes(laboratory, console, report)


@contextmanager
def _live(runtime: Runtime, console: Console) -> Iterator[Any]:
    """Show queue and devices in place, and decisions as they fall above them."""
    last = 0
    laboratory = runtime.laboratory
    with Live(console=console, auto_refresh=False, transient=True) as live:

        def show() -> None:
            nonlocal last
            with laboratory.store.begin() as session:
                events = views.events(session, since=last, limit=500)
                samples, devices = views.queue(session), views.devices(session)
                counts = views.campaign(session, CAMPAIGN)["targets"]
            for event in events:
                last = event["id"]
                if event["text"].startswith(TOLD):
                    live.console.print(_told(event))
            live.update(_picture(laboratory, samples, devices, counts), refresh=True)

        yield show


def _told(event: Any) -> Text:
    day = event["at"][5:16].replace("T", " ")
    line = Text.assemble((f"{day}  ", "dim"), (event["subject"], "bold"), "  ")
    return line.append(event["text"])


def _picture(
    laboratory: Laboratory, samples: list[Any], devices: list[Any], counts: dict[str, int]
) -> Group:
    total, still = sum(counts.values()), counts.get("open", 0)
    head = Text.assemble(
        (f"{laboratory.clock.now():%Y-%m-%d %H:%M} laboratory time", "bold cyan"),
        f"   targets settled: {total - still} of {total}",
    )
    queue = Table(title="Samples under way", title_justify="left", expand=False)
    for name in ("Sample", "Status", "Round", "Since"):
        queue.add_column(name)
    for row in samples[:10]:
        queue.add_row(
            escape(row["name"]),
            coloured(row["status"]),
            str(row["round"]),
            row["status_at"][11:16],
        )
    floor = Table(title="Devices at work", title_justify="left")
    for name in ("Device", "In use by", "°C", "Setpoint"):
        floor.add_column(name)
    for row in devices:
        timed = laboratory.gateway.furnaces.latest.get(row["name"])
        if timed is not None:
            setpoint_c = timed.reading.setpoint_c
            shown = "" if setpoint_c is None else f"{setpoint_c:.0f}"
            measured = f"{timed.reading.temperature_c:.0f}"
            floor.add_row(row["name"], escape(row["held_by"] or ""), measured, shown)
        elif row["held_by"]:
            floor.add_row(row["name"], escape(row["held_by"]), "", "")
    return Group(head, queue, floor)


def _outcomes(laboratory: Laboratory, console: Console, report: Path) -> Any:
    with laboratory.store.begin() as session:
        campaign = views.campaign(session, CAMPAIGN)
    table = Table(title="Outcomes", title_justify="left", header_style="bold")
    for name in ("Target", "Result", "Best wt %", "Firings", "Why"):
        table.add_column(name, overflow="fold")
    for target in campaign["target_list"]:
        attempts = laboratory.attempts(CAMPAIGN, target["formula"])
        found = [a.outcome.target_weight_fraction for a in attempts if a.outcome]
        target |= {"best_weight_fraction": max(found, default=None), "firings": len(attempts)}
        table.add_row(
            escape(target["formula"]),
            coloured(target["status"]),
            percent(target["best_weight_fraction"]),
            str(target["firings"]),
            escape(target["reason"]),
        )
    console.print(table)
    console.print(f"Report: [bold]{report}[/]   (open it in a browser)")
    return {**campaign, "report": str(report.resolve())}
