"""The gradient norm sticks to one value: DeepSpeed's mask for a non-finite norm, or the norm of the last step that was taken."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from operator import ne
from typing import Final, Literal

from analyzer.model import Finding
from analyzer.rule import Threshold, at, rule
from analyzer.signals import Streak, aligned, resolution
from parsers import Run, Series, metrics

MIN_RECORDS: Final = Threshold(3, "Two equal norms in a row can be chance in four digits; three with a bad loss are not.")
MIN_ALONE: Final = Threshold(10, "Equal records that are needed where the loss is not logged or looks well.")
MIN_VARIED: Final = Threshold(
    5,
    "Different values that must come before, where the loss says nothing: the norm varied, now it does not.",
)
MAX_GROUPS: Final = Threshold(
    16,
    "Parameter groups of an optimizer that a masked norm is looked for: each puts -1 for its own, so sqrt(groups) is printed.",
)
TOLERANCE: Final = Threshold(2e-3, "Of the squared norm: 1.414 printed with three decimals is off by 6e-4.")

Kind = Literal["masked", "stale", "constant"]


@rule(
    title="the gradient norm sticks to one value",
    severity="critical",
    needs=("grad_norm",),
    thresholds={
        "min-records": MIN_RECORDS,
        "min-alone": MIN_ALONE,
        "min-varied": MIN_VARIED,
        "max-groups": MAX_GROUPS,
        "tolerance": TOLERANCE,
    },
)
def grad_constant(run: Run) -> Iterator[Finding]:
    """Exact repetition with a bad loss; or for long, after it varied, at a value that is no clipping threshold."""
    series = run.series(metrics.GRAD_NORM)
    assert series is not None
    repeated = _repeated(series.values)
    if not repeated:
        return
    losses = aligned(series, run.series(metrics.LOSS))
    scales = aligned(series, run.series(metrics.LOSS_SCALE))
    for streak in reversed(repeated):
        kind = _kind(series, streak, losses, scales)
        if kind is not None:
            yield _finding(run, series, streak, kind, losses, scales)
            return


def _repeated(values: Sequence[float]) -> list[Streak]:
    """Stretches of at least MIN_RECORDS equal finite non-zero values."""
    breaks = [i for i, differs in enumerate(map(ne, values[1:], values), 1) if differs]
    edges, least = zip([0, *breaks], [*breaks, len(values)], strict=True), MIN_RECORDS.value
    return [Streak(a, b) for a, b in edges if b - a >= least and math.isfinite(values[a]) and values[a] != 0.0]


def _kind(series: Series, streak: Streak, losses: Sequence[float | None], scales: Sequence[float | None]) -> Kind | None:
    """What the repetition is, or None where it is nothing to report."""
    value, is_final = series.values[streak.start], streak.stop == len(series)
    bad = sum(_is_bad(losses[i]) for i in range(streak.start, streak.stop))
    groups = _groups(value, scales[streak.start])
    if bad >= MIN_RECORDS.value - 1 and bad >= streak.length - 1:
        if groups and _is_bad(losses[streak.start]):
            return "masked"
        return "stale" if is_final else None
    if bad or streak.length < MIN_ALONE.value or not is_final:
        return None
    before = [v for v in series.values[: streak.start] if math.isfinite(v) and v != 0.0]
    if (
        len(set(before)) < MIN_VARIED.value
        or max(before) <= value * (1 + TOLERANCE.value)
        or resolution(series.values) > 1e-3 * value
    ):
        return None
    return "masked" if groups else "constant"


def _is_bad(loss: float | None) -> bool:
    return loss is not None and (not math.isfinite(loss) or loss == 0.0)


def _groups(value: float, scale: float | None) -> int:
    """The number of groups whose masked norms give this value, as printed or divided by the loss scale; 0 where none does."""
    for candidate in (value, value * scale if scale and scale > 1.0 else 0.0):
        squared = candidate * candidate
        if 0.5 < squared < MAX_GROUPS.value + 0.5 and abs(squared - round(squared)) <= TOLERANCE.value * squared:
            return round(squared)
    return 0


def _finding(
    run: Run, series: Series, streak: Streak, kind: Kind, losses: Sequence[float | None], scales: Sequence[float | None]
) -> Finding:
    start = streak.start
    if kind == "stale" and start + 1 < streak.stop and not _is_bad(losses[start]):
        start += 1  # the first one of them is the step that was taken
    value, is_final = series.values[start], streak.stop == len(series)
    groups = _groups(value, scales[start]) if kind == "masked" else 0
    end = "the end" if is_final else f"step {series.steps[streak.stop - 1]}"
    meaning = {
        "masked": f"the print of a non-finite norm over {groups} parameter group{'s' if groups > 1 else ''}",
        "stale": "the norm of the last step that was taken: the steps since were skipped",
        "constant": "it varied before",
    }[kind]
    return Finding(
        rule="grad-constant",
        severity="critical" if is_final else "warning",
        confidence="high" if _is_bad(losses[start]) else "medium",
        summary=f"gradient norm is {value:.6g} from step {series.steps[start]} to {end} "
        f"({streak.stop - start} records): {meaning}",
        evidence=tuple(
            at(series, i, note)
            for i, note in (
                (start, "first of the equal norms"),
                (streak.stop - 1, "last of them"),
                (start - 1, "last record before it"),
            )
            if i >= 0
        ),
        first_step=series.steps[start],
        last_step=series.steps[streak.stop - 1],
        facts={
            "value": value,
            "records": streak.stop - start,
            "kind": kind,
            "groups": groups or None,
            "recovered": not is_final,
            "last_good_step": series.steps[start - 1] if start else None,
            "step_source": run.step_source,
        },
    )
