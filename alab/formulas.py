"""Chemical formulas as people type them, read in one place.

Masses are computed from the *plain* form: symbols, counts and brackets, hydrates included::

    Ni(NO3)2·6H2O   →   Ni(NO3)2(H2O)6

The dot of a hydrate may be ``·``, ``•`` or ``*``. A full stop is none: ``Ni(NO3)2.6H2O`` reads
as 2.6 nitrate groups, and a fifth of the nickel would be missing on the balance.
"""

import re

from alab.errors import TargetError

_SYMBOLS = (
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As "
    "Se Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu "
    "Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np "
    "Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og"
)
_ELEMENTS = frozenset(_SYMBOLS.split())
_SYMBOL = r"[A-Z][a-z]?"
_COUNT = r"(?:\d+(?:\.\d+)?|\.\d+)"
_UNITS = rf"(?:{_SYMBOL}{_COUNT}?)+"
_GROUP = re.compile(rf"(?:\({_UNITS}\)|\[{_UNITS}\]|\{{{_UNITS}\}}){_COUNT}?")
_DOT = re.compile(r"\s*[·•∙⋅*]\s*")
_PART = re.compile(rf"({_COUNT}?)(.*)", re.DOTALL)
_FULL_STOP = re.compile(r"\.(\d*(?:\.\d+)?(?:H2O|\(H2O\)(?![\d.]))|[A-Z(\[{])")
"""A full stop where the dot of a hydrate or double salt may be meant."""


def plain_formula(text: str) -> str:
    """The plain form of a formula as a person types it.

    Raises:
        TargetError: If it is no formula, names an element that does not exist, or sets the
            water of a hydrate off with a full stop.
    """
    parts = [_PART.fullmatch(part) for part in _DOT.split(text.strip())]
    counted = [(part[1], part[2]) for part in parts if part is not None]
    dotted = "·".join(count + _FULL_STOP.sub(r"·\1", rest) for count, rest in counted)
    if dotted.count("·") >= len(counted):
        raise TargetError(
            f"{text!r} can be read as a decimal number or as a hydrate; write the hydrate as "
            f"{dotted!r} or {plain_formula(dotted)!r}"
        )
    plain = text.strip()
    if len(counted) > 1:
        (count, first), *added = counted
        plain = _bracketed(first, count) if count else first
        for count, rest in added:
            single = "1" if re.search(r"\.\d+$", plain) else ""  # .5(H2O) is refused above
            plain += _bracketed(rest, count or single)
    if not _is_plain(plain):
        raise TargetError(
            f"{text!r} is no chemical formula; write it like BaTiO3, NaZr2(PO4)3 or "
            "Ni(NO3)2·6H2O"
        )
    return plain


def _bracketed(part: str, count: str) -> str:
    """``H2O`` as ``(H2O)6``."""
    return (part if re.fullmatch(r"\([^()]*\)", part) else f"({part})") + count


def _is_plain(formula: str) -> bool:
    if not set(re.findall(_SYMBOL, formula)) <= _ELEMENTS:
        return False
    left, simpler = "", formula
    while simpler != left:
        left, simpler = simpler, _GROUP.sub("H", simpler)  # a bracket counts as one symbol
    return re.fullmatch(_UNITS, left) is not None
