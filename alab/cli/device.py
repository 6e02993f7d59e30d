"""``alab device`` and ``alab stock``: what the laboratory is made of."""

from pathlib import Path
from typing import Annotated

import typer

from alab.cli.options import AsJson, By, DataDir, DeviceName, Yes, example, signed
from alab.cli.output import moment, say, show_facts, show_result, show_rows, write_json
from alab.cli.reach import data_directory, look
from alab.client import LabClient
from alab.errors import BadInput

app = typer.Typer(no_args_is_help=True)

Note = Annotated[str, typer.Option(help="Why; stands in the log and beside the device.")]


@app.command("list", epilog=example("alab device list"))
def list_(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show every device, its state, who has it, and how hot it is."""
    rows = look(data_directory(data_dir), "devices", lambda views, s: views.devices(s))
    if as_json:
        write_json(rows)
        return
    tell_of_stop(data_dir)
    show_rows(
        rows,
        [
            ("Device", "name"),
            ("State", "state"),
            ("Held by", "held_by"),
            ("°C", lambda row: _degrees(row["temperature_c"])),
            ("Setpoint °C", lambda row: _degrees(row["setpoint_c"])),
            ("Note", "note"),
        ],
        empty="No laboratory has run on this data directory yet; 'alab up' starts one.",
    )


def tell_of_stop(data_dir: Path | None) -> None:
    """Say that the emergency stop is latched, if it is: it explains all the rest."""
    lab = look(data_directory(data_dir), "lab", lambda views, s: views.overview(s))
    if lab["stopped"]:
        from alab.views import stop_notice

        say(stop_notice(lab["stopped"]))


def _degrees(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}"


@app.command(epilog=example("alab device show furnace_a"))
def show(name: DeviceName, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show one device with what happened to it lately."""
    found = look(
        data_directory(data_dir), f"devices/{name}", lambda views, s: views.device(s, name)
    )
    if as_json:
        write_json(found)
        return
    firing = found["firing"]
    show_facts(
        {
            "Device": found["name"],
            "Kind": found.get("title"),
            "State": found["state"],
            "Since (UTC)": moment(found["state_at"]),
            "Note": found["note"],
            "Says it is": found["identity"],
            "Held by": found["held_by"],
            "°C": _degrees(found["temperature_c"]),
            "Setpoint °C": _degrees(found["setpoint_c"]),
            "Firing": f"{firing['id']}, {firing['status']}" if firing else "",
            "Samples": sorted(firing["slots"]) if firing else "",
        }
    )
    show_rows(
        found["events"],
        [("When (UTC)", lambda row: moment(row["at"])), ("Who", "actor"), ("What", "text")],
        empty="",
        title="Log",
    )


@app.command(epilog=example('alab device quarantine furnace_a --note "door scrapes"'))
def quarantine(
    name: DeviceName,
    note: Note = "",
    data_dir: DataDir = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Give a device no more work; what it is doing now goes on to its end."""
    with LabClient.on(data_directory(data_dir)) as client:
        done = client.post(f"devices/{name}/quarantine", by=signed(by), note=note)
    show_result(done, f"{name} is quarantined", as_json=as_json)


@app.command(epilog=example("alab device ready furnace_a"))
def ready(
    name: DeviceName,
    note: Note = "",
    data_dir: DataDir = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Give a device work again; one that was offline is connected first."""
    with LabClient.on(data_directory(data_dir)) as client:
        done = client.post(f"devices/{name}/ready", by=signed(by), note=note)
    show_result(done, f"{name} is ready", as_json=as_json)


@app.command(epilog=example('alab device stop --reason "smoke" --yes'))
def stop(
    reason: Annotated[str, typer.Option(help="Why; stands in the alarm.")] = "asked for",
    yes: Yes = False,
    data_dir: DataDir = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Emergency stop: every device goes into its safe state, and nothing starts any more."""
    if not yes:
        if as_json:
            raise BadInput("with --json nobody is asked: add --yes to stop every device")
        typer.confirm("Stop every device? Furnaces reset their programs and cool.", abort=True)
    with LabClient.on(data_directory(data_dir)) as client:
        done = client.post("stop", by=signed(by), reason=reason)
    show_result(
        done, "Stopped; 'alab device reset-stop' lets devices work again", as_json=as_json
    )


@app.command("reset-stop", epilog=example("alab device reset-stop"))
def reset_stop(data_dir: DataDir = None, by: By = None, as_json: AsJson = False) -> None:
    """Release the emergency stop, after someone has looked."""
    with LabClient.on(data_directory(data_dir)) as client:
        done = client.post("stop/reset", by=signed(by))
    show_result(done, "The stop is released", as_json=as_json)


stock_app = typer.Typer(no_args_is_help=True)


@stock_app.callback()
def _stock() -> None:
    """See and refill powders and crucibles."""


@stock_app.command("list", epilog=example("alab stock list"))
def stock_list(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show what is left of every powder, and of the crucibles."""
    rows = look(data_directory(data_dir), "stock", lambda views, s: views.stock(s))
    if as_json:
        write_json(rows)
        return
    show_rows(
        rows,
        [("Item", "item"), ("Left", lambda row: _left(row))],
        empty="No laboratory has run on this data directory yet; 'alab up' starts one.",
    )


Item = Annotated[str, typer.Argument(help="A precursor's formula, or 'crucibles'.")]
Grams = Annotated[float | None, typer.Option(help="Mass of a powder.", min=0, max=10_000)]
Pieces = Annotated[int | None, typer.Option(help="Number of crucibles.", min=0)]


@stock_app.command("refill", epilog=example("alab stock refill BaCO3 --grams 50"))
def stock_refill(
    item: Item,
    grams: Grams = None,
    pieces: Pieces = None,
    data_dir: DataDir = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Book what you put on the shelf; samples that wait for it go on."""
    _book("refill", item, grams, pieces, data_dir, by, as_json=as_json)


@stock_app.command("count", epilog=example("alab stock count crucibles --pieces 118"))
def stock_count(
    item: Item,
    grams: Grams = None,
    pieces: Pieces = None,
    data_dir: DataDir = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Say how much there is now, where the books are wrong; signed and logged."""
    _book("count", item, grams, pieces, data_dir, by, as_json=as_json)


def _book(
    act: str,
    item: str,
    grams: float | None,
    pieces: int | None,
    data_dir: Path | None,
    by: str | None,
    *,
    as_json: bool,
) -> None:
    amount, unit = _amount(grams, pieces)
    with LabClient.on(data_directory(data_dir)) as client:
        done = client.post(f"stock/{item}/{act}", by=signed(by), amount=amount, unit=unit)
    left = _left({"item": item, f"remaining_{done['unit']}": done["left"]})
    show_result(done, f"{item}: {left}", as_json=as_json)


def _amount(grams: float | None, pieces: int | None) -> tuple[float, str]:
    """What a person said, in the unit of the stock."""
    if pieces is not None and grams is None:
        return pieces, "pieces"
    if grams is None or pieces is not None:
        raise BadInput("say how much: --grams of a powder, or --pieces of crucibles")
    return grams * 1000, "mg"


def _left(row: object) -> str:
    assert isinstance(row, dict)  # noqa: S101
    if "remaining_mg" in row:
        return f"{row['remaining_mg'] / 1000:.2f} g"
    return f"{row['remaining_pieces']:.0f} pieces"
