"""Columns of numbers as people and spreadsheets export them, made plain.

rietx reads ``x y [esd]`` with blanks or commas between. Read that way, a line with decimal
commas such as ``10,02 123,5`` would be 10° with 2 counts. Here the separators are found
out first, columns are chosen by their headings, and what can be read two ways is refused.
"""

import re
from collections import Counter
from typing import NamedTuple

from alab.errors import BadInput
from analysis.diffraction.beam import Beam, element
from analysis.diffraction.headers import number

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf)", re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+([eE][+-]?\d+)?")
_COMMENT = ("#", "!", "'", "/", "%", ";")
_ANGLE = re.compile(
    r"(2|two)[\s_*-]*(θ|theta|th\b)|^tth|^t(wo)?theta|\bangle|^winkel|^pos", re.IGNORECASE
)
_COUNTS = re.compile(r"^[yi]\b|obs|^int|count|cps|intens|impuls", re.IGNORECASE)
_ESD = re.compile(r"esd|sig|err|unc|std|σ", re.IGNORECASE)
_OTHER_AXIS = re.compile(
    r"^q\b|\bq\s*[\[(]|^d\b|d[-_ ]?spac|^s\b|energy|\bkev\b|\btof\b|time.of.flight|wavelength|"
    r"^(theta|θ|omega|ω|phi|chi)\b|å|angstrom|nm\^?-1|a\^?-1",
    re.IGNORECASE,
)
_NO_COUNTS = re.compile(r"sqrt|√|\blog|\bln\b|\brad\b|radian", re.IGNORECASE)
_ALPHA1 = re.compile(
    r"(?:k-?\s?(?:alpha|α)\s?-?1|wave\s?length|lambda|λ)(\D{0,30}?)(\d\.\d+)(\s*nm\b)?",
    re.IGNORECASE,
)
_ALPHA2 = re.compile(r"k-?\s?(?:alpha|α)\s?-?2\b(\D{0,30}?)(\d\.\d+)(\s*nm\b)?", re.IGNORECASE)
_KNOWN_WAVELENGTHS_ANG = (0.2, 3.0)
_SMALLEST_FIRST_STEP = 5
"""A first point this many steps off the next is a heading of two numbers, not a point."""


class Columns(NamedTuple):
    """A text with one point a line, and what its headings say.

    Attributes:
        text: ``x y [esd]`` lines; everything else is commented out.
        beam: Wavelengths and anode of the headings.
        stated: Whether a heading calls the first column 2θ.
        warnings: What was left out.
    """

    text: str
    beam: Beam
    stated: bool
    warnings: tuple[str, ...]


def decoded(content: bytes) -> str:
    """The text of a file, whatever encoding Windows gave it."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace")
    if content[1:200:2].count(0) > 40:
        return content.decode("utf-16-le", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def plain(content: bytes, filename: str) -> Columns:
    """Make columns plain.

    Raises:
        BadInput: If columns, decimals or the axis can be read two ways, or the axis is not 2θ.
    """
    lines = [line.strip().strip("\x00") for line in decoded(content).splitlines()]
    if lines and lines[0].startswith("XYDATA"):  # FullProf's; rietx knows its headings
        return Columns("\n".join(lines), Beam(), stated=False, warnings=())
    data = {i: fields for i, line in enumerate(lines) if (fields := _fields(line))}
    points = {i: fields for i, fields in data.items() if len(fields) > 1}
    if not points:
        raise BadInput(f"{filename}: cannot be read: there is no line with two numbers in it")
    width = Counter(len(fields) for fields in points.values()).most_common(1)[0][0]
    rows = {i: fields for i, fields in points.items() if len(fields) == width}
    first, last = min(rows), max(rows)
    heads = [line for line in lines[:first] if line]
    rows = _numbers(rows, [lines[i] for i in rows], filename)
    told: list[str] = []
    x, y, esd, stated = _chosen(heads, width, filename, told)
    beam = _beam(heads)
    wave = next((number(data[i][0]) for i in data if i < first and len(data[i]) == 1), None)
    numbers = [*rows.values()]
    if wave is None and beam.alpha1_ang is None:
        wave = _wavelength_in_first_point(numbers, x)
        if wave is not None:
            numbers = numbers[1:]
    if wave is not None and _KNOWN_WAVELENGTHS_ANG[0] <= wave <= _KNOWN_WAVELENGTHS_ANG[1]:
        beam = Beam(alpha1_ang=wave).or_else(beam)
    skipped = sum(
        1
        for i in range(first, last)
        if i not in rows and lines[i] and not lines[i].startswith(_COMMENT)
    )
    if skipped:
        told.append(f"{skipped} lines among the points hold no point and were left out.")
    order = [x, y] if esd is None else [x, y, esd]
    text = [f"# {head.lstrip('#!/%; ')}" for head in heads]
    text += [" ".join(row[column] for column in order) for row in numbers]
    return Columns("\n".join(text) + "\n", beam, stated, tuple(told))


def _fields(line: str) -> list[str]:
    """The fields of a line, if all are numbers; commas are settled later."""
    if not line or line.startswith(("#", "!", "'", "/", "%")):
        return []
    if ";" in line or "\t" in line:
        fields = [field.strip() for field in re.split(r"[;\t]", line)]
    elif re.search(r",\s|\s,", line) or ("," in line and not re.search(r"\s", line)):
        fields = [field.strip() for field in line.split(",")]
    else:
        fields = line.split()
    while fields and not fields[-1]:
        fields.pop()
    usable = all(_NUMBER.fullmatch(f) or _DECIMAL_COMMA.fullmatch(f) for f in fields)
    return fields if usable else []


def _numbers(
    rows: dict[int, list[str]], lines: list[str], filename: str
) -> dict[int, list[str]]:
    """Settle decimal commas, the same way for the whole file."""
    commas = any("," in field for fields in rows.values() for field in fields)
    points = any("." in field for fields in rows.values() for field in fields)
    if commas and points:
        raise BadInput(
            f"{filename}: numbers with decimal points beside numbers with commas: thousands "
            "or decimals? Export it without thousands separators"
        )
    if not commas and not points and all("," in line for line in lines):
        heads = [fields[0] for fields in rows.values()]
        if len(next(iter(rows.values()))) >= 3 and (len(set(heads)) < len(heads)):
            raise BadInput(
                f"{filename}: commas both between columns and as decimal sign cannot be told "
                "apart; export it with decimal points, or with semicolons between columns"
            )
    return {i: [field.replace(",", ".") for field in fields] for i, fields in rows.items()}


def _chosen(
    heads: list[str], width: int, filename: str, told: list[str]
) -> tuple[int, int, int | None, bool]:
    """Columns of 2θ, counts and esd, and whether a heading names 2θ."""
    names = _names(heads, width)
    if not names:
        return 0, 1, 2 if width == 3 else None, False
    angle = next((i for i, name in enumerate(names) if _ANGLE.search(name)), None)
    if angle is None:
        axis = next((name for name in names if _OTHER_AXIS.search(name)), None)
        if axis is not None and any(_COUNTS.search(name) for name in names if name != axis):
            raise BadInput(
                f"{filename}: the columns are {', '.join(names)}; {axis!r} is not 2θ. Export "
                "2θ in degrees against counts"
            )
        return 0, 1, 2 if width == 3 else None, False
    if scaled := [name for name in names if _NO_COUNTS.search(name)]:
        raise BadInput(
            f"{filename}: {', '.join(scaled)} is neither 2θ in degrees nor counts; export these"
        )
    rest = [i for i in range(width) if i != angle]
    esd = next((i for i in rest if _ESD.search(names[i])), None)
    left = [i for i in rest if i != esd and not _OTHER_AXIS.search(names[i])]
    counts = [i for i in left if _COUNTS.search(names[i])] or left
    if not counts:
        raise BadInput(
            f"{filename}: no column of counts among {', '.join(names)}; export 2θ and counts"
        )
    if len(counts) > 1:
        if not _COUNTS.search(names[counts[0]]):
            raise BadInput(
                f"{filename}: which of {', '.join(names[i] for i in counts)} are the counts? "
                "Export one pattern a file, as 2θ and counts"
            )
        told.append(f"Of the columns {', '.join(names)}, {names[counts[0]]} was taken.")
    return angle, counts[0], esd, True


def _names(heads: list[str], width: int) -> list[str]:
    """Headings of the columns: the last heading that has as many parts as there are columns."""
    for head in reversed(heads[-8:]):
        bare = head.lstrip("#!/%; ")
        for separator in (r"[;\t]", ",", r"\s{2,}", r"\s+"):
            parts = [part.strip(" \"'") for part in re.split(separator, bare.strip())]
            if len(parts) == width and all(re.search(r"[^\W\d_]|θ", part) for part in parts):
                return parts
    return []


def _beam(heads: list[str]) -> Beam:
    text = "\n".join(heads)
    anode = re.search(r"(?:anode|target|tube)[^\n]*", text, re.IGNORECASE)
    return Beam(
        alpha1_ang=_wavelength(_ALPHA1.search(text)),
        alpha2_ang=_wavelength(_ALPHA2.search(text)),
        anode=element(anode[0]) if anode else "",
    )


def _wavelength(found: re.Match[str] | None) -> float | None:
    """In ångström; nanometres where "nm" stands before or after the number."""
    if found is None or (value := number(found[2])) is None:
        return None
    in_nm = found[3] or re.search(r"\bnm\b", found[1])
    return round(10 * value, 9) if in_nm else value


def _wavelength_in_first_point(rows: list[list[str]], column: int) -> float | None:
    """A first line like ``1.5406 0.5`` is λ and a ratio: no scan begins with such a step."""
    if len(rows) < 4:
        return None
    start, second, third, fourth = (float(row[column]) for row in rows[:4])
    step = max(abs(third - second), abs(fourth - third))
    low, high = _KNOWN_WAVELENGTHS_ANG
    return (
        start if low <= start <= high and second - start > _SMALLEST_FIRST_STEP * step else None
    )
