"""Where two curves part beyond their noise: the first step from which the bad run is no longer what the good run was.

Both are put on the steps that both logged (or, where they log at other steps, the good one is drawn between its points). The
noise of a curve is how much it changes from point to point: 1.4826 × the median of |Δ| / √2, which outliers and a slow trend do
not move. Runs part where the distance stays beyond 5 standard deviations of both noises together and beyond a fiftieth of
the good value, from that step on for most of what follows; or where the bad value is not finite, or is exactly 0, and the
good one is not. Gradients are another matter at the first step: where both losses are the same there to five digits, the same
weights have met the same data, and another norm of the gradients is no noise (`at_once`).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal, NamedTuple

from analyzer.median import median
from parsers.model import Series, SourceRef

DEVIATIONS: Final = 5.0
"""Standard deviations of the difference that noise alone does not reach in runs of ten thousand records."""
LEAST_SHARE: Final = 0.02
"""Of the good value: what is rounded to three digits must not part by its rounding."""
STAYS: Final = 0.8
"""Share of the records after the parting that must lie beyond the band as well."""
MIN_RUN: Final = 3
"""Records in a row that must lie beyond the band: one alone is a spike."""
MIN_COMMON: Final = 5
SAME_DIGITS: Final = 5
"""Digits from which two equal losses are no chance."""
WINDOW: Final = 50
"""Records after the parting that are looked at for STAYS: a run that comes back later has parted all the same."""

Kind = Literal["non-finite", "zero", "apart", "none"]


class Point(NamedTuple):
    """A step at which both curves have a value, and their places in the two series."""

    step: int
    good: float
    bad: float
    good_at: int
    bad_at: int


@dataclass(frozen=True, slots=True)
class Parting:
    """Two curves of one metric: `common` records compared, and where they part (`kind` none: they do not)."""

    metric: str
    kind: Kind
    common: int
    band: float
    step: int | None = None
    last_together: int | None = None
    good: float = math.nan
    bad: float = math.nan
    good_ref: SourceRef | None = None
    bad_ref: SourceRef | None = None


def parting(good: Series, bad: Series) -> Parting | None:
    """Where the two part; None where they have too few steps in common to say."""
    points = common(good, bad)
    if len(points) < MIN_COMMON:
        return None
    band = DEVIATIONS * math.hypot(noise([p.good for p in points]), noise([p.bad for p in points]))
    at, kind = _first(points, band)
    if at is None:
        return Parting(good.metric, "none", len(points), band)
    point, before = points[at], points[at - 1].step if at else None
    return Parting(
        good.metric, kind, len(points), band, point.step, before, point.good, point.bad,
        good.ref(point.good_at), bad.ref(point.bad_at),
    )  # fmt: skip


def at_once(losses: tuple[Series, Series], norms: tuple[Series, Series]) -> Parting | None:
    """Where the gradients part at the first step that the runs logged, from the very same loss; None where they do not.

    Each pair is (good, bad). The norm must be another one by a fiftieth.
    """
    loss, norm = (next(iter(common(*pair)), None) for pair in (losses, norms))
    if loss is None or norm is None or loss.step != norm.step or norm.step > min(norms[0].steps[0], norms[1].steps[0]):
        return None
    digits = f"{loss.good!r}".replace(".", "").lstrip("-0")
    if loss.good != loss.bad or len(digits) < SAME_DIGITS or not abs(norm.good - norm.bad) > LEAST_SHARE * abs(norm.good):
        return None
    good, bad = norms
    return Parting(
        good.metric, "apart", len(common(good, bad)), 0.0, norm.step, None, norm.good, norm.bad,
        good.ref(norm.good_at), bad.ref(norm.bad_at),
    )  # fmt: skip


def common(good: Series, bad: Series) -> list[Point]:
    """The points on a common axis, by step; of a step that was logged twice, the later record."""
    ours = {step: index for index, step in enumerate(good.steps)}
    theirs = {step: index for index, step in enumerate(bad.steps)}
    shared = sorted(ours.keys() & theirs.keys())
    if len(shared) >= max(MIN_COMMON, min(len(ours), len(theirs)) // 3):
        return [Point(s, good.values[ours[s]], bad.values[theirs[s]], ours[s], theirs[s]) for s in shared]
    steps = sorted(ours)
    return [one for step in sorted(theirs) if (one := _between(step, steps, ours, good, bad.values[theirs[step]], theirs[step]))]


def _between(step: int, steps: Sequence[int], at: dict[int, int], good: Series, value: float, index: int) -> Point | None:
    """The bad point, with the good curve drawn between its two neighbours."""
    right = bisect_right(steps, step)
    if right == 0 or (right == len(steps) and step != steps[-1]):
        return None
    low, high = steps[right - 1], steps[min(right, len(steps) - 1)]
    first, second = good.values[at[low]], good.values[at[high]]
    share = (step - low) / (high - low) if high > low else 0.0
    return Point(step, first + (second - first) * share, value, at[low], index)


def noise(values: Sequence[float]) -> float:
    """The standard deviation that a curve scatters with, from point to point; non-finite points are left out."""
    finite = [value for value in values if math.isfinite(value)]
    steps = [abs(b - a) for a, b in pairwise(finite)]
    return 1.4826 * median(steps) / math.sqrt(2) if steps else 0.0


def _first(points: Sequence[Point], band: float) -> tuple[int | None, Kind]:
    """(index, kind) of the first point from which the curves are apart."""
    beyond = [_kind(point, band) for point in points]
    for index, kind in enumerate(beyond):
        if kind == "none":
            continue
        if kind == "non-finite" or _stays(beyond[index : index + WINDOW]):
            return index, kind
    return None, "none"


def _stays(beyond: Sequence[Kind]) -> bool:
    """Whether what begins here lasts; at the end of a log, fewer records are enough."""
    apart = [kind != "none" for kind in beyond]
    return all(apart[:MIN_RUN]) and len(apart) >= min(MIN_RUN, 2) and sum(apart) >= STAYS * len(apart)


def _kind(point: Point, band: float) -> Kind:
    if not math.isfinite(point.bad):
        return "non-finite" if math.isfinite(point.good) else "none"
    if not math.isfinite(point.good):
        return "none"
    if point.bad == 0.0 and point.good != 0.0 and abs(point.good) > band / DEVIATIONS:
        return "zero"
    return "apart" if abs(point.good - point.bad) > max(band, LEAST_SHARE * abs(point.good)) else "none"
