"""The gradient norm leaves its own band by orders of magnitude."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from analyzer.median import median
from analyzer.model import Finding
from analyzer.rule import Threshold, at, number, rule
from analyzer.signals import Excursion, current_finite, excursions, noise
from parsers import Run, Series, metrics

WARM_UP: Final = Threshold(
    20,
    "Records at the start that are not judged: norms of a fresh model fall by an order of magnitude on their own.",
)
LASTING: Final = Threshold(10.0, "Times the level before, for several records.")
LASTING_RECORDS: Final = Threshold(5, "Records that it must last: fewer may be one odd stretch of data.")
FRESH: Final = Threshold(10.0, "Times the later level that the norm of a fresh model may be: what is searched for at all.")
SINGLE: Final = Threshold(
    100.0,
    "Times the level before, for one record: two orders of magnitude. Batches of odd data give ten to thirty.",
)
MANY: Final = Threshold(3, "Single records that high which are no chance any more.")
SIGMAS: Final = Threshold(
    6.0,
    "Standard deviations of the norm's logarithm between neighbours: a norm that varies threefold has a wide band.",
)
MAX_SHARE: Final = Threshold(
    0.05,
    "Records above the band that still are excursions: a norm that jumps all the time has a wide band.",
)


@rule(
    title="the gradient norm explodes",
    severity="warning",
    needs=("grad_norm",),
    thresholds={
        "warm-up": WARM_UP,
        "lasting": LASTING,
        "lasting-records": LASTING_RECORDS,
        "fresh": FRESH,
        "single": SINGLE,
        "many": MANY,
        "sigmas": SIGMAS,
        "max-share": MAX_SHARE,
    },
)
def grad_explosion(run: Run) -> Iterator[Finding]:
    """The first excursion that lasts, or is two orders of magnitude high."""
    series = run.series(metrics.GRAD_NORM)
    assert series is not None
    kept, values = _positive(series)
    if len(values) <= WARM_UP.value or max(values) <= LASTING.value * min(values):
        return  # nor is any of them so many times the level before it
    if max(values) < LASTING.value * median(values[: WARM_UP.value // 2]) / FRESH.value:
        return
    wide = math.exp(SIGMAS.value * min(noise([math.log(v) for v in values]), 10.0))
    found = excursions(values, lambda level: (max(LASTING.value, wide) - 1) * level, WARM_UP.value)
    usual = median(values[: WARM_UP.value])
    loud = [e for e in found if values[e.peak] >= usual]
    loud = [
        e for e in loud if e.stop - e.start >= LASTING_RECORDS.value or values[e.peak] >= max(SINGLE.value, 2 * wide) * e.level
    ]
    isolated = [e for e in found if e.stop - e.start < LASTING_RECORDS.value]
    if loud and sum(e.stop - e.start for e in isolated) <= max(2, MAX_SHARE.value * len(values)):
        yield _finding(run, series, kept, values, loud)


def _positive(series: Series) -> tuple[Sequence[int], Sequence[float]]:
    """The norms of the history that counts that are finite and above 0, and where they stand."""
    chosen, values = current_finite(series), series.values
    if chosen and min(values) > 0.0 and len(chosen) == len(values):
        return chosen, values.tolist()
    kept = [i for i in chosen if values[i] > 0.0]
    return kept, [values[i] for i in kept]


def _finding(run: Run, series: Series, kept: Sequence[int], values: Sequence[float], loud: Sequence[Excursion]) -> Finding:
    first = loud[0]
    start, peak = kept[first.start], kept[first.peak]
    is_lasting = first.stop - first.start >= LASTING_RECORDS.value
    after = values[first.stop :]
    recovered = bool(after) and median(after[: LASTING_RECORDS.value]) < LASTING.value / 2 * first.level
    return Finding(
        rule="grad-explosion",
        severity="warning" if is_lasting or len(loud) >= MANY.value else "info",
        confidence="high" if is_lasting else "medium",
        summary=f"gradient norm rises from about {number(first.level)} to {number(series.values[peak])} "
        f"at step {series.steps[peak]}{'' if recovered else ' and stays high'}",
        evidence=(
            at(series, start, f"first record above {LASTING.value:.0f} times the level before"),
            *((at(series, peak, "highest"),) if peak != start else ()),
            *((at(series, start - 1, "last record before it"),) if start else ()),
        ),
        first_step=series.steps[start],
        last_step=series.steps[kept[loud[-1].stop - 1]],
        facts={
            "level": first.level,
            "peak": series.values[peak],
            "records": first.stop - first.start,
            "excursions": len(loud),
            "recovered": recovered,
            "last_good_step": series.steps[start - 1] if start else None,
            "step_source": run.step_source,
        },
    )
