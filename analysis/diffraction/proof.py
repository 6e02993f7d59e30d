"""Whether a phase has lines of its own: peaks there that nothing else explains."""

import numpy as np

from analysis.diffraction.arrays import Array
from analysis.diffraction.measured import MODEL_ERROR, Measured
from analysis.diffraction.refine import Fit, background_of, profiles

LINES_NEEDED = 2
"""So many lines of its own a phase must show, or all that it has where it has fewer."""

_TOP = 10
_OWN_SHARE = 0.5
_VISIBLE = 3.0
_BACKGROUND_ERROR = 0.005
_RIGHT = 0.5, 2.0
_ABSENT = 0.4
_SMALL = 0.05


def proven(measured: Measured, fit: Fit, index: int) -> bool:
    """Whether a refined phase shows at least LINES_NEEDED lines of its own.

    A line counts if it should stand out of noise and of the misfit of what overlaps it. It is
    seen if what the other phases leave there is about what this phase says; absent if it is
    much less; neither if it is much more, as under a peak of an unknown phase. Few may be
    absent.

    Args:
        measured: The pattern.
        fit: Refined phases.
        index: Which of them.
    """
    parts = profiles(measured, fit)
    own = parts[index]
    others = parts.sum(0) - own
    background = background_of(measured, fit)
    left = measured.counts[: measured.used] - background - others
    alone, seen, absent = 0, 0, 0
    for low, high in _peaks(own):
        if own[low:high].sum() < _OWN_SHARE * (own[low:high] + others[low:high]).sum():
            continue
        height, found = _contrast(own, low, high), _contrast(left, low, high)
        # Neighbouring errors of the model go together: they add up without the root.
        spread = np.sqrt(2 * measured.variance[low:high].sum())
        spread += 2 * MODEL_ERROR * others[low:high].sum()
        spread += _BACKGROUND_ERROR * background[low:high].sum()
        if height < _VISIBLE * spread:
            continue
        ratio = found / height
        seen += bool(_RIGHT[0] < ratio < _RIGHT[1])
        absent += bool(ratio <= _RIGHT[0])
        alone += 1
    return seen >= min(LINES_NEEDED, max(alone, 1)) and absent <= _ABSENT * (seen + absent)


def _contrast(counts: Array, low: int, high: int) -> float:
    """Counts of a peak above its flanks: what a smooth background cannot take over."""
    width = max((high - low) // 2, 1)
    flanks = np.concatenate(
        [
            counts[max(0, low - 2 * width) : low - width + 1],
            counts[high + width - 1 : high + 2 * width],
        ]
    )
    return float(counts[low:high].sum() - (high - low) * (flanks.mean() if len(flanks) else 0))


def _peaks(own: Array) -> list[tuple[int, int]]:
    """Ranges about the highest separate peaks of a profile, down to half of each."""
    rest, found = own.copy(), []
    least = _SMALL * own.max(initial=0.0)
    for _ in range(_TOP):
        top = int(np.argmax(rest))
        if rest[top] <= least or rest[top] <= 0:
            break
        low = high = top
        while low > 0 and own[low - 1] > 0.4 * own[top] and rest[low - 1] > 0:
            low -= 1
        while high < len(own) - 1 and own[high + 1] > 0.4 * own[top] and rest[high + 1] > 0:
            high += 1
        found.append((low, high + 1))
        wide = high - low + 1
        rest[max(0, low - wide) : high + 1 + wide] = 0.0
    return found
