"""Several scans of one file: joined into one pattern where that is safe."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alab.errors import BadInput
from analysis.diffraction.arrays import Array
from analysis.diffraction.counting import poisson

MOST_SCANS = 64
"""More of them are a map or a series."""

_SAME_POINT = 0.1
"""Points closer than this share of a step are one."""
_TEMPERATURE_K = 2.0
_RATE_SHARE, _RATE_SIGMAS = 0.1, 5.0
"""Rates of two scans that differ by more than both are of different samples or slits."""


class Scan(NamedTuple):
    """One scan.

    Attributes:
        two_theta_deg: Rising, shape (n,).
        counts: Shape (n,).
        esd: As the file gives it; None for raw counts.
        time_s: Counting time at each point, shape (n,); None where unknown.
        temperature_k: Of the sample.
    """

    two_theta_deg: Array
    counts: Array
    esd: Array | None = None
    time_s: Array | None = None
    temperature_k: float | None = None


def even(scan: Scan) -> Scan:
    """A scan whose points were counted unequally long, as if they had been equally."""
    if scan.time_s is None or np.ptp(scan.time_s) == 0:
        return scan
    usual = float(np.median(scan.time_s))
    factor = usual / scan.time_s
    esd = poisson(scan.counts) if scan.esd is None else scan.esd
    return scan._replace(
        counts=scan.counts * factor,
        esd=esd * factor,
        time_s=np.full(len(factor), usual),
    )


def join(scans: list[Scan], filename: str) -> tuple[Scan, tuple[str, ...]]:
    """Join scans of one sample.

    Points that several scans measured are averaged with their counting times as weights:
    rate = Σ counts / Σ time. Where scans overlap on different points, those of the scan that
    counted longer are kept.

    Returns:
        The pattern, as if counted throughout as long as the first scan; and what was done.

    Raises:
        BadInput: If the scans disagree where they overlap, or cannot be compared.
    """
    if len(scans) == 1:
        return even(scans[0]), ()
    _refuse_series(scans, filename)
    known = [scan.time_s is not None for scan in scans]
    if any(known) and not all(known):
        raise BadInput(
            f"{filename}: {sum(known)} of {len(scans)} scans state a counting time; scans of "
            "unknown times cannot be joined. Export one scan"
        )
    told = [f"{len(scans)} scans were joined."]
    if not all(known):
        told.append("The file gives no counting times: all scans are taken as equally long.")
        scans = [scan._replace(time_s=np.ones(len(scan.counts))) for scan in scans]
    ordered = sorted(
        (even(scan) for scan in scans),
        key=lambda scan: (scan.two_theta_deg[0], scan.two_theta_deg[-1]),
    )
    first_time = float(np.median(even(scans[0]).time_s))  # type: ignore[arg-type]
    joined = ordered[0]
    for scan in ordered[1:]:
        joined = _add(joined, scan, filename)
    assert joined.time_s is not None  # noqa: S101 - set above
    factor = first_time / joined.time_s
    if np.allclose(factor, 1.0):
        return joined, tuple(told)
    esd = poisson(joined.counts) if joined.esd is None else joined.esd
    return Scan(
        joined.two_theta_deg,
        joined.counts * factor,
        esd * factor,
        np.full(len(factor), first_time),
    ), tuple(told)


def _refuse_series(scans: list[Scan], filename: str) -> None:
    temperatures = [scan.temperature_k for scan in scans if scan.temperature_k is not None]
    if temperatures and max(temperatures) - min(temperatures) > _TEMPERATURE_K:
        raise BadInput(
            f"{filename}: {len(scans)} scans between {min(temperatures):g} and "
            f"{max(temperatures):g} K are a series, not one pattern; export one of them"
        )


def _add(joined: Scan, scan: Scan, filename: str) -> Scan:
    """Join one more scan, which starts no earlier than those joined so far."""
    start = scan.two_theta_deg[0]
    step = float(np.median(np.diff(scan.two_theta_deg)))
    near = joined.two_theta_deg >= start - _SAME_POINT * step
    inside = scan.two_theta_deg <= joined.two_theta_deg[-1] + _SAME_POINT * step
    if not near.any():
        return _stacked([joined, scan])
    over = inside & (scan.two_theta_deg >= joined.two_theta_deg[near][0] - step)
    common = near & (joined.two_theta_deg <= scan.two_theta_deg[-1] + _SAME_POINT * step)
    one, other = _taken(joined, common), _taken(scan, over)
    if len(one.counts):
        _refuse_disagreement(one, other, filename)
    if len(one.counts) == len(other.counts) and np.all(
        np.abs(one.two_theta_deg - other.two_theta_deg) < _SAME_POINT * step
    ):
        middle = _averaged(one, other)
    else:
        longer = len(one.counts) and np.median(_time(one)) >= np.median(_time(other))
        middle = one if longer else other
    before = joined.two_theta_deg < middle.two_theta_deg[0] - _SAME_POINT * step
    end = middle.two_theta_deg[-1] + _SAME_POINT * step
    last = joined if joined.two_theta_deg[-1] > scan.two_theta_deg[-1] else scan
    return _stacked([_taken(joined, before), middle, _taken(last, last.two_theta_deg > end)])


def _refuse_disagreement(one: Scan, other: Scan, filename: str) -> None:
    rates, spreads = [], []
    for scan in (one, other):
        variance = scan.counts if scan.esd is None else scan.esd**2
        rates.append(float(np.mean(scan.counts / _time(scan))))
        total = float(np.sum(np.maximum(variance, 1.0) / _time(scan) ** 2))
        spreads.append(np.sqrt(total) / len(scan.counts))
    difference = abs(rates[0] - rates[1])
    if difference > _RATE_SIGMAS * np.hypot(*spreads) and difference > _RATE_SHARE * max(rates):
        raise BadInput(
            f"{filename}: two scans counted {rates[0]:.4g} and {rates[1]:.4g} per second "
            f"between {other.two_theta_deg[0]:.2f}° and {other.two_theta_deg[-1]:.2f}°: other "
            "slits, or a sample that changed. Export one scan"
        )


def _time(scan: Scan) -> Array:
    assert scan.time_s is not None  # noqa: S101 - join sets it
    return scan.time_s


def _taken(scan: Scan, mask: NDArray[np.bool_]) -> Scan:
    return Scan(
        scan.two_theta_deg[mask],
        scan.counts[mask],
        None if scan.esd is None else scan.esd[mask],
        _time(scan)[mask],
    )


def _averaged(one: Scan, other: Scan) -> Scan:
    counts = one.counts + other.counts
    if one.esd is None and other.esd is None:
        esd = None
    else:
        sides = [poisson(s.counts) if s.esd is None else s.esd for s in (one, other)]
        esd = np.hypot(*sides)
    return Scan(one.two_theta_deg, counts, esd, _time(one) + _time(other))


def _stacked(parts: list[Scan]) -> Scan:
    esd = None
    if any(part.esd is not None for part in parts):
        esd = np.concatenate(
            [poisson(part.counts) if part.esd is None else part.esd for part in parts]
        )
    return Scan(
        np.concatenate([part.two_theta_deg for part in parts]),
        np.concatenate([part.counts for part in parts]),
        esd,
        np.concatenate([_time(part) for part in parts]),
    )
