"""Precursors and firings learnt from the literature, on targets that no model has seen.

A set counts as right if it equals one of the sets reported for the held-out target, powder
by powder; water of hydration is left out on both sides. The floor ranks sets by the product
of how often each powder brings its element in the training procedures.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from pymatgen.core import Composition

from benchmarks.figures import Figure
from planners.literature import conditions, fit_conditions, precursors
from planners.literature.arrays import Floats
from planners.literature.corpus import Procedure, read_corpus
from planners.literature.formulas import GAS_ELEMENTS
from planners.literature.split import Split, by_target, split

DEPTHS = (1, 3, 5, 10)
PUBLISHED_FLOOR = {1: 52.2, 3: 60.1, 5: 63.3, 10: 67.4}
GOALS = {1: 60.0, 3: 75.0, 5: 82.0, 10: 85.0}
MAE_GOAL_C = 98.0
QUICK_TARGETS = 400

Ranking = Callable[[Procedure], list[tuple[str, ...]]]


def measure(corpus: Path, quick: bool) -> dict[str, Figure]:
    """Figures of the project's own models on the held-out targets of a corpus.

    Args:
        corpus: The user's copy of the text-mined reactions.
        quick: Whether to take the first 400 held-out targets only.

    Raises:
        BadInput: If the file is no such corpus.
    """
    parts = split(read_corpus(corpus).procedures)
    targets = list(by_target(parts.test).values())[: QUICK_TARGETS if quick else None]
    return precursor_figures(parts, targets) | firing_figures(parts, targets)


def precursor_figures(
    parts: Split, targets: Sequence[Sequence[Procedure]]
) -> dict[str, Figure]:
    """Share of targets with a right set among the first 1, 3, 5 and 10."""
    our_places = places(learnt, targets)
    floor_places = places(popularity(parts.train), targets)
    ours, base = hits(our_places), hits(floor_places)
    papers = {p.doi for p in parts.train}
    fresh = [i for i, ps in enumerate(targets) if not any(p.doi in papers for p in ps)]
    figures = {
        f"precursor_top{k}": Figure(
            value=ours[k],
            unit="%",
            goal=GOALS[k],
            better="higher",
            peer=f"popularity {base[k]:.1f} % in this run, {PUBLISHED_FLOOR[k]} % stated; "
            + ("SynthesisSimilarity 82 %; " if k == 5 else "")
            + f"{len(targets)} targets",
        )
        for k in DEPTHS
    }
    figures["precursors top-5, targets of papers not learnt from"] = Figure(
        value=hits([our_places[i] for i in fresh])[5],
        unit="%",
        goal=GOALS[5],
        better="higher",
        peer=f"popularity {hits([floor_places[i] for i in fresh])[5]:.1f} %; "
        f"{len(fresh)} targets",
    )
    return figures


def places(ranking: Ranking, targets: Sequence[Sequence[Procedure]]) -> list[float]:
    """Place of the first reported set in the ranking for each target, from 0."""
    return [_place(ranking(procedures[0]), procedures) for procedures in targets]


def hits(found: Sequence[float]) -> dict[int, float]:
    """Per cent of places among the first k, by k."""
    return {k: 100 * sum(place < k for place in found) / max(len(found), 1) for k in DEPTHS}


def _place(ranked: Sequence[tuple[str, ...]], procedures: Sequence[Procedure]) -> float:
    right = {p.precursors for p in procedures}
    return next((i for i, powders in enumerate(ranked) if powders in right), float("inf"))


def learnt(procedure: Procedure) -> list[tuple[str, ...]]:
    """Sets of the project's recommender for a procedure's target, the likeliest first."""
    speller = precursors.shipped_model()
    if not procedure.shares.keys() <= set(speller.vocabulary.elements):
        return []  # an element that no training target has: counted as a miss
    found = speller.search(procedure.shares, max(DEPTHS))
    return [tuple(sorted(speller.vocabulary.powders[t] for t in chosen)) for chosen, _ in found]


def popularity(procedures: Sequence[Procedure]) -> Ranking:
    """The floor: each element's powders by use, sets by the product of their shares."""
    uses: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for powder, count in Counter(p for x in procedures for p in x.precursors).items():
        for element in _brought(powder):
            uses[element][powder] += count

    def ranking(procedure: Procedure) -> list[tuple[str, ...]]:
        held = set(procedure.shares) - GAS_ELEMENTS
        sets: dict[frozenset[str], float] = {frozenset(): 1.0}
        for element in sorted(held):
            fitting = [(p, n) for p, n in uses[element].most_common(80) if _brought(p) <= held]
            total = sum(uses[element].values())
            grown: dict[frozenset[str], float] = {}
            for powders, share in sets.items():
                for powder, n in fitting[: max(DEPTHS)]:
                    key = powders | {powder}
                    grown[key] = max(grown.get(key, 0.0), share * n / total)
            ranked = sorted(grown.items(), key=lambda pair: (-pair[1], sorted(pair[0])))
            sets = dict(ranked[:60])
        return [tuple(sorted(powders)) for powders in list(sets)[: max(DEPTHS)]]

    return ranking


@cache
def _brought(powder: str) -> frozenset[str]:
    return frozenset(Composition(powder).get_el_amt_dict()) - GAS_ELEMENTS


def firing_figures(parts: Split, targets: Sequence[Sequence[Procedure]]) -> dict[str, Figure]:
    """Errors of temperature, dwell, gas and regrinding on held-out procedures.

    The temperature is asked for as a recipe asks: with the paper's route, which is decided
    before (``firing.Route``). Gas and regrinding are parts of the route or follow from it, and
    are asked for with the step's name alone; so is the temperature once more.
    """
    model = conditions.shipped_model()
    known = set(model.elements)
    tested = _fired([p for ps in targets for p in ps], known)
    trained = _fired(parts.train, known)
    answers = _asked(model, tested)
    open_answers = _asked(model, [p.with_open_route() for p in tested])
    error_c, open_error_c = (_error_c(tested, told) for told in (answers, open_answers))
    median_c = float(np.median([_temperature(p) for p in trained]))
    floors = {
        "median": np.array([abs(_temperature(p) - median_c) for p in tested]),
        "ridge": _ridge(trained, tested, model),
    }
    papers = {p.doi for p in trained}
    every = np.ones(len(tested), dtype=bool)
    steps = np.array([p.firing.route.step for p in tested])
    figures: dict[str, Figure] = {}
    for name, rows, errors in (
        ("temperature_mae_c", every, error_c),
        ("temperature_mae_c_sintering", steps == "sintering", error_c),
        ("temperature_mae_c_calcination", steps == "calcination", error_c),
        (
            "temperature_mae_c_new_papers",
            np.array([p.doi not in papers for p in tested]),
            error_c,
        ),
        ("temperature_mae_c_route_open", every, open_error_c),
    ):
        peers = ", ".join(f"{n} {e[rows].mean():.0f}" for n, e in floors.items())
        figures[name] = Figure(
            value=float(errors[rows].mean()),
            unit="°C",
            goal=MAE_GOAL_C,
            better="lower",
            peer=f"{peers} in this run; language models 73–126; {rows.sum()} procedures",
        )
    between, ours = _between_papers(tested, open_error_c)
    figures["temperature_mae_c_where_papers_repeat"] = Figure(
        value=ours,
        unit="°C",
        goal=between,
        better="lower",
        peer=f"median of the other papers on the very same target {between:.0f}",
    )
    return figures | _other_answers(tested, answers, open_answers)


def _asked(
    model: conditions.FiringModel, procedures: Sequence[Procedure]
) -> list[conditions.Conditions]:
    asked = fit_conditions.examples(procedures, model.elements, model.powders)
    return model.answer(asked.inputs)


def _error_c(tested: Sequence[Procedure], answers: Sequence[conditions.Conditions]) -> Floats:
    pairs = zip(answers, tested, strict=True)
    return np.array([abs(a.temperature_c - _temperature(p)) for a, p in pairs])


def _between_papers(tested: Sequence[Procedure], error_c: Floats) -> tuple[float, float]:
    """How far papers on one target lie apart, and the model's error on the same firings.

    Returns:
        Mean distance of a firing from the median of the others of its target, and the
        model's mean error there: no model of the target alone does much better than the
        first.
    """
    same: defaultdict[tuple[tuple[str, float], ...], list[int]] = defaultdict(list)
    for i, procedure in enumerate(tested):
        same[tuple(sorted(procedure.shares.items()))].append(i)
    apart: list[float] = []
    ours: list[float] = []
    for members in same.values():
        for i in members if len(members) > 1 else ():
            others = [_temperature(tested[j]) for j in members if j != i]
            apart.append(abs(_temperature(tested[i]) - float(np.median(others))))
            ours.append(float(error_c[i]))
    return float(np.mean(apart)), float(np.mean(ours))


def _other_answers(
    tested: Sequence[Procedure],
    answers: Sequence[conditions.Conditions],
    open_answers: Sequence[conditions.Conditions],
) -> dict[str, Figure]:
    inside, open_inside = (
        [a.temperature_low_c <= _temperature(p) <= a.temperature_high_c for p, a in pairs]
        for pairs in (
            list(zip(tested, answers, strict=True)),
            list(zip(tested, open_answers, strict=True)),
        )
    )
    firings = [p.firing for p in tested]
    dwell = [
        (np.log(f.dwell_h), np.log(a.dwell_h))
        for f, a in zip(firings, answers, strict=True)
        if f.dwell_h is not None
    ]
    times = np.array(dwell)
    base = np.abs(times[:, 0] - np.median(times[:, 0])).mean()
    left_open = list(zip(firings, open_answers, strict=True))
    gas = [
        (f.route.gas, _likeliest(a.atmosphere_probabilities))
        for f, a in left_open
        if f.route.gas
    ]
    air = 100 * np.mean([said == "air" for said, _ in gas])
    ground = [(f.reground, a.regrinds > 0.5) for f, a in left_open]
    never = 100 * np.mean([not said for said, _ in ground])
    return {
        "temperature_interval80_coverage": Figure(
            value=100 * float(np.mean(inside)), unit="%", goal=78.0, better="higher",
            peer=f"80 % by design; {100 * np.mean(open_inside):.1f} % where the route is open",
        ),
        "dwell_factor_off": Figure(
            value=float(np.exp(np.abs(times[:, 0] - times[:, 1]).mean())), unit="×",
            goal=2.0, better="lower", peer=f"median ×{np.exp(base):.2f}; {len(times)}",
        ),
        "gas_right": Figure(
            value=100 * float(np.mean([said == ours for said, ours in gas])), unit="%",
            goal=float(air), better="higher", peer=f"always air {air:.1f} %; {len(gas)}",
        ),
        "regrinding_right": Figure(
            value=100 * float(np.mean([said == ours for said, ours in ground])), unit="%",
            goal=float(never), better="higher", peer=f"never {never:.1f} %; {len(ground)}",
        ),
    }  # fmt: skip


def _likeliest(probabilities: Mapping[str, float]) -> str:
    return max(probabilities, key=lambda gas: probabilities[gas])


def _fired(procedures: Sequence[Procedure], known: set[str]) -> list[Procedure]:
    return [
        p for p in procedures if p.firing.temperature_c is not None and p.shares.keys() <= known
    ]


def _temperature(procedure: Procedure) -> float:
    if procedure.firing.temperature_c is None:
        raise ValueError(f"{procedure.doi} gives no firing temperature")
    return procedure.firing.temperature_c


def _ridge(
    trained: Sequence[Procedure],
    tested: Sequence[Procedure],
    model: conditions.FiringModel,
) -> Floats:
    """Absolute errors of ridge regression on the same inputs, in °C."""
    data, asked = (
        fit_conditions.examples(p, model.elements, model.powders) for p in (trained, tested)
    )
    told_c = data.reported.temperature_c
    centre, spread = data.inputs.mean(axis=0), data.inputs.std(axis=0) + 1e-6
    table = (data.inputs - centre) / spread
    middle_c = told_c.mean()
    normal = table.T @ table + 30.0 * np.eye(table.shape[1])
    slopes = np.linalg.solve(normal, table.T @ (told_c - middle_c))
    predicted_c = (asked.inputs - centre) / spread @ slopes + middle_c
    return np.abs(predicted_c - asked.reported.temperature_c)
