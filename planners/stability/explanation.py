"""Why a candidate is proposed, in words: stability, rivals, descent and screens."""

from collections.abc import Mapping

from planners.stability.candidates.lineage import Kind
from planners.stability.discovery import Found
from planners.stability.formulas import reduced_formula
from planners.stability.screens.verdict import Screen, Verdict

_SIGNS = {Verdict.PASSED: "passed", Verdict.FAILED: "FAILED", Verdict.UNKNOWN: "unknown"}
_MOST_PHASES = 4


def why(found: Found) -> list[str]:
    """Sentences for one candidate, the decisive one first."""
    return [
        stability(found),
        *([doubt(found)] if found.unsure else []),
        among_candidates(found),
        descent(found),
        *([polymorphs(found)] if found.polymorphs else []),
    ]


def stability(found: Found) -> str:
    """How far it lies below or above what it competes with."""
    signed = found.decomposition_energy_ev_per_atom * 1000
    rivals = mixture(found.products)
    where = "below" if signed <= 0 else "above"
    return (
        f"It lies {abs(signed):.0f} meV/atom {where} {rivals}, the known phases that rival it."
    )


def doubt(found: Found) -> str:
    """How wide the ensemble's answers lie."""
    width = found.interquartile_ev_per_atom * 1000
    return (
        "Unsure: by the ensemble's spread half of its errors here are beyond "
        f"± {width / 2:.0f} meV/atom."
    )


def among_candidates(found: Found) -> str:
    """What the other candidates of the search would make of it."""
    signed = found.joint_energy_ev_per_atom * 1000
    rivals = mixture(found.joint_products)
    if signed <= 0:
        return (
            f"It stays {abs(signed):.0f} meV/atom below {rivals} when all other candidates "
            "compete too."
        )
    return (
        f"If the other candidates of this search exist, it lies {signed:.0f} meV/atom above "
        f"{rivals}."
    )


def descent(found: Found) -> str:
    """The way back to a known structure."""
    first = found.lineage[-1]
    if first.kind is Kind.RANDOM:
        return f"It is {found.origin}."
    steps = len(found.lineage) - 1
    through = f", in {steps} steps" if steps > 1 else ""
    return f"It was made by {found.origin}; it descends from {first.child}{through}."


def polymorphs(found: Found) -> str:
    """The next crystals of the same composition."""
    symbol, above = found.polymorphs[0]
    return (
        f"Of {len(found.polymorphs) + 1} different crystals predicted it is the lowest; the "
        f"next, {symbol}, lies {above * 1000:.0f} meV/atom higher."
    )


def screen_line(screen: Screen) -> str:
    """One screen as a line: name, verdict and reason."""
    return f"{_SIGNS[screen.verdict]:<8}{screen.name}: {screen.reason}"


def mixture(products: Mapping[str, float]) -> str:
    """Phases with their shares of the atoms, the largest first."""
    ranked = sorted(products.items(), key=lambda item: (-item[1], item[0]))
    if len(ranked) == 1:
        return reduced_formula(ranked[0][0])
    # an element of the hull is written as its symbol; oxygen is O2
    named = [f"{share * 100:.0f} % {reduced_formula(phase)}" for phase, share in ranked]
    return " + ".join(named[:_MOST_PHASES])
