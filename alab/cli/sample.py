"""``alab sample`` and ``alab why``: what was done with a powder, and what it waits for."""

from typing import Annotated, Any

import typer

from alab.cli.options import (
    AsJson,
    DataDir,
    SampleName,
    complete_campaigns,
    example,
)
from alab.cli.output import moment, percent, say, show_facts, show_rows, write_json
from alab.cli.reach import data_directory, look

app = typer.Typer(no_args_is_help=True)


@app.command("list", epilog=example("alab sample list --campaign titanates"))
def list_(
    campaign: Annotated[
        str | None,
        typer.Option(help="Only of this campaign.", autocompletion=complete_campaigns),
    ] = None,
    status: Annotated[str | None, typer.Option(help="Only with this status.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show every sample, those that have ended too."""
    rows = look(
        data_directory(data_dir),
        "samples",
        lambda views, s: views.samples(s, campaign=campaign, status=status),
        campaign=campaign,
        status=status,
    )
    if as_json:
        write_json(rows)
        return
    show_rows(
        rows,
        [
            ("Sample", "name"),
            ("Target", "target"),
            ("Status", "status"),
            ("Round", "round"),
            ("At", "at"),
            ("Verdict", "verdict"),
            ("Target wt %", lambda row: percent(row["target_weight_fraction"])),
            ("Since (UTC)", lambda row: moment(row["status_at"])),
        ],
        empty="There is no such sample; 'alab campaign start NAME' makes some.",
    )


@app.command(epilog=example("alab sample show titanates-BaTiO3-1"))
def show(name: SampleName, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show one sample: recipe, weighed masses, firings, outcomes, decisions, log."""
    found = look(
        data_directory(data_dir), f"samples/{name}", lambda views, s: views.sample(s, name)
    )
    if as_json:
        write_json(found)
        return
    show_facts(
        {
            "Sample": found["name"],
            "Target": found["target"],
            "Status": found["status"],
            "Wanted": "" if found["control"] == "run" else found["control"],
            "Priority": found["priority"],
            "At": found["at"],
            "Note": found["note"],
            "Reaction": found["recipe"]["reaction"],
        }
    )
    _write_masses(found)
    for attempt in found["attempts"]:
        _write_attempt(attempt)
    show_rows(
        found["questions"],
        [("Question", "id"), ("Text", "text"), ("Answers", "options")],
        empty="",
    )
    show_rows(
        found["events"],
        [("When (UTC)", lambda row: moment(row["at"])), ("Who", "actor"), ("What", "text")],
        empty="",
        title="Log",
    )


def _write_masses(found: Any) -> None:
    weighed = {dose["formula"]: dose for dose in found["doses"]}
    rows = [
        {**precursor, "dose": weighed.get(precursor["formula"])}
        for precursor in found["recipe"]["precursors"]
    ]
    show_rows(
        rows,
        [
            ("Powder", "formula"),
            ("Wanted mg", lambda row: f"{row['mass_mg']:.1f}"),
            ("Weighed mg", lambda row: f"{row['dose']['dosed_mg']:.1f}" if row["dose"] else ""),
            (
                "Off by %",
                lambda row: f"{row['dose']['deviation_percent']:+.2f}" if row["dose"] else "",
            ),
        ],
        empty="Its recipe names no powder.",
    )


def _write_attempt(attempt: Any) -> None:
    recipe, outcome = attempt["recipe"], attempt["outcome"]
    decision = attempt["decision"] or {}
    hottest_c = max(segment["temperature_c"] for segment in recipe["profile"]["segments"])
    furnace = f" in {attempt['furnace']}" if attempt["furnace"] else ""
    facts: dict[str, object] = {
        f"Round {attempt['round']}": f"{hottest_c:g} °C, {recipe['atmosphere']}{furnace}",
    }
    if outcome:
        fraction, esd = outcome["target_weight_fraction"], outcome["target_weight_fraction_esd"]
        facts |= {
            "Verdict": outcome["verdict"],
            "Target wt %": f"{percent(fraction)} ± {percent(esd)} of the crystalline part",
            "R_wp %": f"{outcome['r_wp_percent']:.1f}",
            "Phases": ", ".join(
                f"{p['formula']} {percent(p['weight_fraction'])} %" for p in outcome["phases"]
            ),
            "Because": " ".join(outcome["reasons"]),
        }
    if decision:
        facts["Decided"] = f"{decision['step']}. {' '.join(decision['reasons'])}"
    show_facts(facts)


def why(name: SampleName, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Say what a sample waits for."""
    words = look(
        data_directory(data_dir), f"samples/{name}/why", lambda views, s: views.why(s, name)
    )
    if as_json:
        write_json({"sample": name, "why": words})
    else:
        say("\n".join(words))
