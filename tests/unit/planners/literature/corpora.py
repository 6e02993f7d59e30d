"""A small corpus in the text miners' form, made up of what every chemist knows."""

import json
from pathlib import Path
from typing import Any

from pymatgen.core import Composition

OXIDES = {
    "Al": "Al2O3",
    "Fe": "Fe2O3",
    "Ga": "Ga2O3",
    "Cr": "Cr2O3",
    "Ti": "TiO2",
    "Zr": "ZrO2",
}
CARBONATES = {"Ba": "BaCO3", "Sr": "SrCO3", "Ca": "CaCO3", "Mg": "MgO", "Zn": "ZnO"}


def material(formula: str, **more: Any) -> dict[str, Any]:
    """A material as the text miners write it."""
    atoms = Composition(formula).get_el_amt_dict()
    part = {
        "formula": formula,
        "elements": {e: f"{n:g}" for e, n in atoms.items()},
        "amount": "1",
    }
    return {"material_string": formula, "composition": [part], "additives": [], **more}


def heating(
    temperature_c: float, hours: float, gas: str = "air", word: str = "calcined"
) -> dict:
    """A heating step."""
    return {
        "type": "HeatingOperation",
        "token": word,
        "conditions": {
            "heating_temperature": [{"values": [temperature_c], "max_value": temperature_c}],
            "heating_time": [{"values": [hours], "max_value": hours}],
            "heating_atmosphere": [gas],
        },
    }


def reaction(target: str, powders: list[str], steps: list[dict], doi: str = "10.1/x") -> dict:
    """A reaction of plain formulas."""
    return {
        "doi": doi,
        "targets_string": [target],
        "reaction": {"element_substitution": {}},
        "target": material(target),
        "precursors": [material(powder) for powder in powders],
        "operations": steps,
    }


def spinels_and_perovskites() -> list[dict]:
    """Targets whose powders follow a rule, and whose heat grows with zirconium."""
    entries: list[dict] = []
    for a, brings_a in CARBONATES.items():
        for b, brings_b in OXIDES.items():
            for tenth in range(1, 11):
                formula = f"{a}{tenth / 10:g}{b}2O4"
                hot = 1000 + (300 if b == "Zr" else 0) + (100 if a == "Ba" else 0)
                steps = [heating(hot, 6.0, "argon" if b == "Fe" else "air")]
                powders = [brings_a, brings_b]
                entries.append(reaction(formula, powders, steps, f"10.1/{a}{b}{tenth}"))
    return entries


def write(entries: list[dict], path: Path) -> Path:
    """Write a corpus file."""
    path.write_text(json.dumps({"release_date": "made up", "reactions": entries}))
    return path
