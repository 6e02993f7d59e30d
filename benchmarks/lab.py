"""What the laboratory itself costs: ``python -m benchmarks.lab [--quick] [--json FILE]``.

* ``stage_overhead_s``: wall time per stage with devices of zero duration (claim, intents,
  database, Prefect); the analysis, which is no orchestration, is replaced by a fixed
  outcome. Beside it the floor: a bare Prefect task in the same run.
* ``statements_per_s_waiting``: database statements a second while 60 samples wait for a
  furnace that is quarantined, in real time.
* ``campaign58_wall_s`` and ``campaign58_rss_growth_mb``: 58 real targets on 4 furnaces × 8,
  pursued in parallel by as many replicate campaigns as make about 350 samples; memory
  growth from a quarter of the samples to the end.
* ``cli_help_s``: ``alab --help``, the best of several starts.
"""

import argparse
import asyncio
import csv
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from sqlalchemy import func, select

from alab.clock import RealClock
from alab.laboratory import Laboratory
from alab.life import TERMINAL
from alab.models import Outcome, PhaseAmount, Verdict
from alab.runtime import EXAMPLE_LAB, Runtime, Simulation, read_lab, running
from alab.store.store import Store
from alab.store.tables import SampleRow
from benchmarks.figures import Figure, show, write
from benchmarks.instant_devices import instant_devices
from drivers.catalog import KINDS
from flows.server import PrefectServer, free_port

TARGETS = Path(__file__).parent.parent / "examples" / "targets58.csv"
STAGES_A_SAMPLE = 7  # prepare, load, heat, recover, characterise, decide, retire
REPLICATES = 6


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument(
        "--quick", action="store_true", help="fewer samples, one replicate of 8"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    figures = {"cli_help_s": cli_help()}
    with tempfile.TemporaryDirectory() as folder:
        server = PrefectServer(Path(folder), free_port())
        server.start()
        try:
            figures |= asyncio.run(_in_laboratories(Path(folder), server, quick=options.quick))
        finally:
            server.stop()
    show("What the laboratory costs", figures)
    if options.json:
        write(figures, options.json)


async def _in_laboratories(
    folder: Path, server: PrefectServer, *, quick: bool
) -> dict[str, Figure]:
    await server.ready()
    figures = {
        "stage_overhead_s": await stage_overhead(folder / "instant", 4 if quick else 16),
        "statements_per_s_waiting": await waiting(folder / "waiting", 5.0 if quick else 20.0),
    }
    return figures | await campaign58(folder / "campaign58", quick=quick)


async def stage_overhead(folder: Path, samples: int) -> Figure:
    """Wall time per stage with devices of zero duration."""
    runtime = _instant_laboratory(folder)
    floor_s = await _bare_prefect_task()
    targets = _targets()[:samples]
    with patch("flows.characterisation.analyze", _known_outcome):
        runtime.begin()
        began = time.perf_counter()
        await runtime.start_campaign("instant", dict.fromkeys(targets, 0), 1)
        await runtime.finished("instant")
        wall_s = time.perf_counter() - began
    await runtime.end()
    runtime.laboratory.store.close()
    return Figure(
        value=wall_s / (samples * STAGES_A_SAMPLE),
        unit="s",
        goal=0.1,
        better="lower",
        peer=f"AlabOS 1–4 s a task; a bare Prefect task, same run: {floor_s * 1000:.1f} ms",
    )


async def waiting(folder: Path, seconds: float) -> Figure:
    """Database statements a second while 60 samples wait for a furnace."""
    runtime = _instant_laboratory(folder)
    laboratory = runtime.laboratory
    for name, device in laboratory.lab.devices.items():
        if device.max_temperature_c is not None:
            laboratory.gateway.states.declare(name, "quarantined", "benchmark", by="benchmark")
    wanted = _targets()
    runtime.begin()
    for name, targets in (("many", wanted[:30]), ("more", wanted[:30])):
        await runtime.start_campaign(name, dict.fromkeys(targets, 0), 1)
    while _count(laboratory, SampleRow.status == "prepared") < 60:  # noqa: ASYNC110
        await asyncio.sleep(0.5)
    before, began = laboratory.store.statements, time.perf_counter()
    await asyncio.sleep(seconds)
    rate = (laboratory.store.statements - before) / (time.perf_counter() - began)
    await runtime.end()
    laboratory.store.close()
    return Figure(
        value=rate, unit="1/s", goal=5, better="lower", peer="AlabOS 1,341/s (60 waiting tasks)"
    )


async def campaign58(folder: Path, *, quick: bool) -> dict[str, Figure]:
    """58 targets on 4 furnaces × 8, in replicates that make about 350 samples."""
    lab_file = _fuller_shelf(folder)
    targets = _targets()[:8] if quick else _targets()
    names = [f"c{number}" for number in range(1, 2 if quick else REPLICATES + 1)]
    began = time.perf_counter()
    async with running(folder / "data", lab_file, simulation=Simulation()) as runtime:
        laboratory = runtime.laboratory
        started_at = laboratory.clock.now()
        for name in names:
            await runtime.start_campaign(name, dict.fromkeys(targets, 0), 6)
        measured = asyncio.create_task(_memory_growth(laboratory, len(targets) * len(names)))
        for name in names:
            await runtime.finished(name)
        growth_mb = await measured
        firings = _count(laboratory, SampleRow.status.in_(TERMINAL))
        days = (laboratory.clock.now() - started_at).total_seconds() / 86400
    wall_s = time.perf_counter() - began
    did = f"{firings} samples, {days:.1f} laboratory days"
    return {
        "campaign58_wall_s": Figure(
            value=wall_s, unit="s", goal=1200, better="lower", peer=f"no peer; {did}"
        ),
        "campaign58_rss_growth_mb": Figure(
            value=growth_mb, unit="MB", goal=200, better="lower", peer=f"floor 0; {did}"
        ),
    }


def _fuller_shelf(folder: Path) -> Path:
    """The example laboratory with powder for all replicates."""
    folder.mkdir()
    lab_file = folder / "lab.toml"
    example = Path(str(EXAMPLE_LAB)).read_text()
    lab_file.write_text(example.replace("mass_g = 100", "mass_g = 900"))
    return lab_file


async def _memory_growth(laboratory: Laboratory, expected: int) -> float:
    """Growth of resident memory from a quarter of the samples to the end."""
    start_mb: float | None = None
    while True:
        await asyncio.sleep(1.0)
        ended = _count(laboratory, SampleRow.status.in_(TERMINAL))
        if start_mb is None and ended >= expected / 4:
            start_mb = _rss_mb()
        if ended >= expected and not _count(laboratory, SampleRow.status.not_in(TERMINAL)):
            return _rss_mb() - (start_mb or _rss_mb())


def cli_help(starts: int = 7) -> Figure:
    """Start-up of the command line."""
    ours = _best_s([str(Path(sys.executable).with_name("alab")), "--help"], starts)
    floor = _best_s([sys.executable, "-c", "import typer, rich.table"], starts)
    return Figure(
        value=ours,
        unit="s",
        goal=0.4,
        better="lower",
        peer=f"floor: importing typer and rich, same run: {floor:.3f} s",
    )


def _best_s(command: list[str], starts: int) -> float:
    def once() -> float:
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began

    return min(once() for _ in range(starts))


def _instant_laboratory(folder: Path) -> Runtime:
    lab = read_lab(None)
    store = Store.in_directory(folder)
    scan = "".join(f"{10 + step / 50:.2f} {100 + step % 7}\n" for step in range(2000))
    devices = instant_devices(lab, scan.encode())
    laboratory = Laboratory(lab, KINDS, devices, store, RealClock())
    for name in devices:
        laboratory.gateway.states.declare(name, "ready", "instant", by="benchmark")
    return Runtime(laboratory, {})


def _known_outcome(_pattern: Any, *, target: str, **_asked: Any) -> Any:
    """Stands for the analysis, which is no orchestration."""
    outcome = Outcome(
        verdict=Verdict.SUCCESS,
        target_weight_fraction=1.0,
        target_weight_fraction_esd=0.01,
        phases=(
            PhaseAmount(
                formula=target,
                reference=target,
                space_group="P 1",
                weight_fraction=1.0,
                weight_fraction_esd=0.01,
            ),
        ),
        r_wp_percent=5.0,
        unexplained_fraction=0.0,
    )
    axis = [10.0, 100.0]
    return SimpleNamespace(
        outcome=outcome, two_theta_deg=axis, observed=axis, calculated=axis, to_json=dict
    )


async def _bare_prefect_task() -> float:
    from prefect import flow, task
    from prefect.cache_policies import NO_CACHE

    @task(cache_policy=NO_CACHE)
    async def nothing() -> None: ...

    @flow
    async def many() -> float:
        began = time.perf_counter()
        for _ in range(50):
            await nothing()
        return (time.perf_counter() - began) / 50

    return await many()


def _targets() -> list[str]:
    with TARGETS.open() as lines:
        return [row["formula"] for row in csv.DictReader(lines)]


def _count(laboratory: Laboratory, condition: Any) -> int:
    with laboratory.store.begin() as session:
        return session.scalar(select(func.count()).select_from(SampleRow).where(condition)) or 0


def _rss_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


if __name__ == "__main__":
    main()
