"""``alab recipes``: how to make a target from powders, without a laboratory."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alab.cli.bench import Bench, named_formulas, read_bench
from alab.cli.default_command import Proposing
from alab.cli.options import AsJson, example
from alab.cli.output import say, show_facts, show_rows, write_json
from alab.errors import BadInput
from alab.models import Atmosphere

if TYPE_CHECKING:
    from alab.models import Recipe
    from planners.synthesis.precedent import Precedent


app = typer.Typer(cls=Proposing, no_args_is_help=True)

Lab = Annotated[
    Path | None,
    typer.Option(
        "--lab",
        metavar="FILE",
        help="Lab file: its powders are the shelf, its furnaces the limits.",
        exists=True,
        dir_okay=False,
    ),
]

MaxTemperature = Annotated[
    float | None,
    typer.Option(
        "--max-temperature",
        help="Highest temperature in °C; that of --lab, else 1100.",
        min=100.0,
        max=2000.0,
        show_default=False,
    ),
]


@app.callback()
def _recipes() -> None:
    """Plan how to make a compound; check recipe files."""


@app.command(epilog=example("alab recipes BaTiO3", "alab recipes LiFePO4 --out plans"))
def propose(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="Formula to make.")],
    shelf: Annotated[
        str | None,
        typer.Option(
            metavar="FORMULA,…|FILE",
            help="Powders to choose from: formulas with commas between, or a file with one a "
            "line. Else those of --lab, else common oxides, carbonates and phosphates.",
        ),
    ] = None,
    lab: Lab = None,
    atmosphere: Annotated[
        Atmosphere | None,
        typer.Option(help="Gas to fire in; chosen by the target's valences unless given."),
    ] = None,
    max_temperature_c: MaxTemperature = None,
    max_precursors: Annotated[
        int, typer.Option(help="Most powders in a recipe.", min=1, max=5)
    ] = 5,
    batch_mass_mg: Annotated[
        float, typer.Option("--batch-mass", help="Product in mg.", min=1.0, max=1e6)
    ] = 2000.0,
    forbid: Annotated[
        str | None,
        typer.Option(
            metavar="ELEMENT|FORMULA,…",
            help="Elements that are not handled and powders that are not to be used: Pb,BaO2.",
        ),
    ] = None,
    count: Annotated[int, typer.Option(help="Most recipes to show.", min=1, max=20)] = 5,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write each recipe into this folder as TARGET-1.yaml and so on.",
            file_okay=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Propose recipes for a target, best first, with their reasons and risks.

    Nothing is queued: this needs no laboratory.
    """
    from planners.synthesis.recipes import propose as proposed

    bench = read_bench(shelf, lab)
    limits = bench.limits
    if max_temperature_c is not None:
        limits = limits.ending_at(max_temperature_c)
    if atmosphere is not None and lab is None:
        limits = replace(limits, atmospheres=tuple({*limits.atmospheres, atmosphere}))
    elements, formulas = _forbidden(forbid)
    recipes = proposed(
        target,
        shelf=bench.shelf,
        limits=limits,
        batch_mass_mg=batch_mass_mg,
        count=count,
        atmosphere=atmosphere,
        max_precursors=max_precursors,
        forbidden_elements=elements,
        forbidden_precursors=formulas,
        dose_resolution_mg=bench.dose_resolution_mg,
        min_dose_mg=bench.min_dose_mg,
    )
    files = _write(recipes, out) if out is not None else []
    done = _precedents(recipes)
    if as_json:
        pairs = zip(recipes, done, strict=True)
        write_json([_data(recipe) | {"literature": _literature(p)} for recipe, p in pairs])
        return
    show_ranking(recipes)
    for number, recipe in enumerate(recipes, start=1):
        say("")
        show_recipe(recipe, title=f"Recipe {number}")
    if files:
        say(f"\nWrote {', '.join(map(str, files))}")
    if done[0].note:
        say(f"\nNo paper is cited: {done[0].note}.")


@app.command(epilog=example("alab recipes check examples/barium-titanate.yaml"))
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Recipe file, .yaml or .json.")],
    lab: Lab = None,
    as_json: AsJson = False,
) -> None:
    """Check a recipe file: fields, balance, masses, and what the furnace can do.

    Mistakes are told with line, field, value and what is allowed.
    """
    from planners.synthesis.recipe_file import read_recipe

    recipe = read_recipe(file)
    if lab is not None:
        _check_against(recipe, read_bench(None, lab))
    if as_json:
        write_json(_data(recipe))
        return
    show_recipe(recipe, title=f"{file} is in order")


def show_ranking(recipes: "Sequence[Recipe]") -> None:
    """Write one line a recipe."""
    show_rows(
        [
            {
                "rank": number,
                "powders": " + ".join(p.formula for p in recipe.precursors),
                "firing": firing_words(recipe),
                "score": f"{recipe.score:.2f}",
            }
            for number, recipe in enumerate(recipes, start=1)
        ],
        [("", "rank"), ("Precursors", "powders"), ("Firing", "firing"), ("Score", "score")],
        empty="There is no recipe.",
        title=f"Recipes for {recipes[0].target}",
    )


def show_recipe(recipe: "Recipe", *, title: str) -> None:
    """Write all of a recipe."""
    weighed = [f"{p.mass_mg:.1f} mg {p.formula}" for p in recipe.precursors]
    steps = [
        f"{s.ramp_c_per_min:g} °C/min to {s.temperature_c:g} °C"
        + (f", hold {s.dwell_s / 3600:g} h" if s.dwell_s else "")
        for s in recipe.profile.segments
    ]
    show_facts(
        {
            title: recipe.reaction,
            "Weigh": "\n".join(weighed),
            "Mix": f"{recipe.mixing_s / 60:g} min at {recipe.mixing_speed_rpm:g} rpm",
            "Fire": f"in {recipe.atmosphere}: {'; '.join(steps)}",
            "Why": "\n".join(recipe.reasons),
            "Risks": "\n".join(recipe.risks),
        }
    )


def firing_words(recipe: "Recipe") -> str:
    """Temperature, time and gas in a few words: ``1000 °C, 4 h, air``."""
    top_c = recipe.max_temperature_c
    held_s = sum(s.dwell_s for s in recipe.profile.segments if s.temperature_c == top_c)
    return f"{top_c:g} °C, {held_s / 3600:g} h, {recipe.atmosphere}"


def _forbidden(text: str | None) -> tuple[list[str], list[str]]:
    """Split what is forbidden into elements and powders."""
    from pymatgen.core import Element

    words = named_formulas(text.split(",")) if text else []
    elements = [word for word in words if Element.is_valid_symbol(word)]
    return elements, [word for word in words if word not in elements]


def _check_against(recipe: "Recipe", bench: Bench) -> None:
    """Hold a recipe against a laboratory.

    Raises:
        BadInput: If a powder is not on the shelf, or the furnaces cannot fire it.
    """
    shelf, limits = bench.shelf, bench.limits
    mistakes = [
        f"{p.formula}: {p.mass_mg:g} mg are asked for and {shelf.get(p.formula, 0.0):g} mg are "
        "on the shelf; refill the jar or choose another powder"
        for p in recipe.precursors
        if p.mass_mg > shelf.get(p.formula, 0.0)
    ]
    if not limits.permits(recipe.profile, recipe.atmosphere):
        steepest = max(segment.ramp_c_per_min for segment in recipe.profile.segments)
        mistakes.append(
            f"no furnace reaches {recipe.max_temperature_c:g} °C by up to {steepest:g} °C/min "
            f"in {recipe.atmosphere}; they permit: {limits}"
        )
    if mistakes:
        raise BadInput("\n".join(mistakes))


def _data(recipe: "Recipe") -> Any:
    from planners.synthesis.recipe_file import recipe_data

    return recipe_data(recipe)


def _precedents(recipes: "Sequence[Recipe]") -> "list[Precedent]":
    from planners.synthesis.precedent import precedents

    sets = [tuple(p.formula for p in recipe.precursors) for recipe in recipes]
    return precedents(recipes[0].target, sets)


def _literature(precedent: "Precedent") -> dict[str, Any]:
    """What papers do about a set of powders, for programs."""
    return {
        "probability": precedent.probability,
        "place": precedent.place,
        "likeliest_set": list(precedent.likeliest),
        "likeliest_probability": precedent.likeliest_probability,
        "unknown_powders": list(precedent.unknown),
        "procedures": [
            {
                "doi": procedure.doi,
                "target": procedure.target,
                "substitution": procedure.substitution,
                "precursors": list(procedure.precursors),
                "temperature_c": procedure.firing.temperature_c,
                "dwell_h": procedure.firing.dwell_h,
            }
            for procedure in precedent.similar
        ],
        "note": precedent.note,
    }


def _write(recipes: "Sequence[Recipe]", folder: Path) -> list[Path]:
    from planners.synthesis.recipe_file import write_recipe

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"cannot make the folder {folder}: {error.strerror}") from error
    paths = [folder / f"{r.target}-{number}.yaml" for number, r in enumerate(recipes, start=1)]
    for recipe, path in zip(recipes, paths, strict=True):
        write_recipe(recipe, path)
    return paths
