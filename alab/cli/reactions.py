"""``alab reactions predict``: what powders do in a furnace, by their energies."""

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alab.cli.bench import named_formulas
from alab.cli.options import AsJson
from alab.cli.output import say, show_facts, show_rows, write_json
from alab.errors import BadInput
from alab.models import Atmosphere

if TYPE_CHECKING:
    from planners.synthesis.interface_hull import InterfaceHull

_MOST_SHOWN = 8


def predict(
    precursors: Annotated[
        list[str],
        typer.Argument(
            metavar="PRECURSOR...", help="Powders, with spaces or commas between: BaCO3 TiO2."
        ),
    ],
    target: Annotated[
        str | None, typer.Option(help="What they are to become; balances the reaction.")
    ] = None,
    temperature_c: Annotated[
        float, typer.Option("--temperature", help="Temperature in °C.", min=0.0, max=2000.0)
    ] = 900.0,
    atmosphere: Annotated[
        Atmosphere, typer.Option(help="Gas of the furnace.")
    ] = Atmosphere.AIR,
    as_json: AsJson = False,
) -> None:
    """Show what powders do in a furnace gas: driving force, pathway, rivals, kinks.

    Energies are per atom of the target, or per metal atom (every atom that no gas carries)
    on the interface hulls, where mixtures of all ratios are compared.
    """
    powders = _powders(precursors, least=2 if target is None else 1)
    data: dict[str, Any] = {
        "precursors": powders,
        "temperature_c": temperature_c,
        "atmosphere": str(atmosphere),
        "target": None,
    }
    if target is not None:
        if not target.strip():
            raise BadInput("--target is empty; name a target such as BaTiO3")
        (named,) = named_formulas([target])
        data["target"] = _target_data(powders, named, temperature_c, atmosphere)
    data["interfaces"] = [
        _interface_data(pair, temperature_c, atmosphere) for pair in combinations(powders, 2)
    ]
    if as_json:
        write_json(data)
        return
    if data["target"] is not None:
        _show_target(data["target"])
    for interface in data["interfaces"]:
        say("")
        _show_interface(interface)


def _powders(words: Sequence[str], *, least: int) -> list[str]:
    """The powders named, each once.

    Raises:
        BadInput: If one is empty, no solid or named twice, or they are too few.
    """
    from planners.synthesis.grand_potential import check_solid

    if not all(word.strip() for word in words):
        raise BadInput("a precursor is empty; name powders such as BaCO3 TiO2")
    powders = named_formulas(word for text in words for word in text.split(","))
    for powder in powders:
        check_solid(powder)
    if len(set(powders)) < len(powders):
        raise BadInput(f"a precursor is named twice in {', '.join(powders)}; name it once")
    if len(powders) < least:
        raise BadInput(
            f"{', '.join(powders) or 'no powder'} is named, and powders react where two touch; "
            "name another, or what they are to become with --target"
        )
    return powders


def _target_data(
    powders: Sequence[str], target: str, temperature_c: float, atmosphere: Atmosphere
) -> dict[str, Any]:
    from planners.synthesis.pathways import predict_pathway
    from planners.synthesis.reactions import (
        balance,
        driving_force_ev_per_atom,
        uncertainty_ev_per_atom,
    )
    from planners.synthesis.thermo import MissingThermoError, reduced

    reaction = balance(tuple(powders), reduced(target))
    data: dict[str, Any] = {"formula": target, "reaction": str(reaction), "unknown": None}
    try:
        data["driving_force_ev_per_atom"] = driving_force_ev_per_atom(
            reaction, temperature_c, atmosphere
        )
    except MissingThermoError as error:
        return {**data, "unknown": str(error)}
    data["uncertainty_ev_per_atom"] = uncertainty_ev_per_atom(reaction, temperature_c)
    pathway = predict_pathway(reaction, temperature_c, atmosphere)
    if pathway is not None:
        data["pathway"] = [
            {
                "reaction": str(step.reaction),
                "driving_force_ev_per_atom": step.driving_force_ev_per_atom,
            }
            for step in pathway.steps
        ]
        data["last_step_ev_per_atom"] = pathway.last_step_ev_per_atom
    return {**data, **_competition_data(reaction, temperature_c, atmosphere)}


def _competition_data(
    reaction: Any, temperature_c: float, atmosphere: Atmosphere
) -> dict[str, Any]:
    from planners.synthesis.selectivity import inverse_hull_energy_ev_per_atom, selectivity
    from planners.synthesis.thermo import written

    data: dict[str, Any] = {"inverse_hull_energy_ev_per_atom": None}
    try:
        data["inverse_hull_energy_ev_per_atom"] = inverse_hull_energy_ev_per_atom(
            reaction.product, temperature_c, atmosphere
        )
        found = selectivity(reaction, temperature_c, atmosphere)
    except BadInput as error:
        return {**data, "selectivity_unknown": str(error)}
    return {
        **data,
        "primary_competition_ev_per_atom": found.primary_competition_ev_per_atom,
        "secondary_competition_ev_per_atom": found.secondary_competition_ev_per_atom,
        "best_rival": [written(formula) for formula in found.best_rival],
        "rival_pair": [written(formula) for formula in found.rival_pair],
    }


def _interface_data(
    pair: tuple[str, str], temperature_c: float, atmosphere: Atmosphere
) -> dict[str, Any]:
    from planners.synthesis.interface_hull import interface_hull

    data: dict[str, Any] = {"first": pair[0], "second": pair[1], "unknown": None, "kinks": []}
    try:
        hull = interface_hull(*pair, temperature_c, atmosphere)
    except BadInput as error:
        return {**data, "unknown": str(error)}
    downhill = [r for r in hull.reactions if r.energy_ev_per_metal_atom < 0]
    downhill.sort(key=lambda r: r.energy_ev_per_metal_atom)
    return {
        **data,
        "kinks": [_reaction_data(hull, kink) for kink in hull.kinks],
        "downhill": [_reaction_data(hull, reaction) for reaction in downhill],
    }


def _reaction_data(hull: "InterfaceHull", reaction: Any) -> dict[str, Any]:
    return {
        "mixing_ratio": reaction.ratio,
        "reaction": hull.equation(reaction),
        "energy_ev_per_metal_atom": reaction.energy_ev_per_metal_atom,
        "on_hull": reaction in hull.kinks,
    }


def _show_target(data: dict[str, Any]) -> None:
    if data["unknown"] is not None:
        show_facts({"Reaction": data["reaction"], "Energy": data["unknown"]})
        return
    steps = [
        f"{step['reaction']}  ({_mev(step['driving_force_ev_per_atom'])})"
        for step in data.get("pathway", [])
    ]
    facts = {
        "Reaction": data["reaction"],
        "Driving force": f"{data['driving_force_ev_per_atom'] * 1000:.0f} ± "
        f"{_mev(data['uncertainty_ev_per_atom'])}",
        "Forms first": "\n".join(steps) or "the target",
        "Left for the last step": _mev(data["last_step_ev_per_atom"])
        if "last_step_ev_per_atom" in data
        else "",
        "Below the hull of others by": _mev(data["inverse_hull_energy_ev_per_atom"]),
    }
    show_facts(facts | _competition_facts(data))


def _competition_facts(data: dict[str, Any]) -> dict[str, object]:
    if "selectivity_unknown" in data:
        return {"Competition": data["selectivity_unknown"]}
    rival = " + ".join(data["best_rival"])
    pair = " + ".join(data["rival_pair"])
    return {
        "Best rival": f"{rival} from {pair}" if rival else "none runs downhill",
        "Primary competition C1": f"{_mev(data['primary_competition_ev_per_atom'])}; "
        "below 0 the target releases more than any rival",
        "Secondary competition C2": f"{_mev(data['secondary_competition_ev_per_atom'])}; "
        "at 0 the target lives beside its precursors",
    }


def _show_interface(data: dict[str, Any]) -> None:
    title = f"{data['first']} | {data['second']}"
    if data["unknown"] is not None:
        show_facts({title: data["unknown"]})
        return
    rows = [row for row in data["downhill"] if 0 < row["mixing_ratio"] < 1]
    show_rows(
        [
            {
                "reaction": row["reaction"],
                "ratio": f"{row['mixing_ratio']:.3f}",
                "energy": f"{row['energy_ev_per_metal_atom'] * 1000:.0f}",
                "kink": "kink" if row["on_hull"] else "",
            }
            for row in rows[:_MOST_SHOWN]
        ],
        [
            ("Reaction", "reaction"),
            (f"Share of {data['second']}", "ratio"),
            ("meV per metal atom", "energy"),
            ("On the hull", "kink"),
        ],
        empty=f"{title}: nothing between these two runs downhill.",
        title=f"{title}: downhill reactions"
        + (f", the {_MOST_SHOWN} strongest of {len(rows)}" if len(rows) > _MOST_SHOWN else ""),
    )


def _mev(energy_ev: float | None) -> str:
    return "unknown" if energy_ev is None else f"{energy_ev * 1000:.0f} meV/atom"
