"""Many samples train on nothing: their targets were masked or cut away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from analyzer.model import Evidence, Finding, Severity
from analyzer.rule import Threshold, at, rule
from parsers import Run, Series, metrics

HANDFUL: Final = Threshold(10, "Messages that every data set has: a conversation with a stray separator.")
FEW: Final = Threshold(0.01, "Share of the samples seen below which it is worth a word, no more.")
MOST: Final = Threshold(0.2, "Share above which the run trains on something else than its data.")
MANY: Final = Threshold(200, "Messages that are many even where the number of samples is unknown.")


@rule(
    title="the targets of many samples were masked away",
    severity="critical",
    thresholds={
        "handful": HANDFUL,
        "few": FEW,
        "most": MOST,
        "many": MANY,
    },
)
def labels_masked(run: Run) -> Iterator[Finding]:
    """Counts samples, not messages; says the share where batch size and steps are known."""
    found = run.series(metrics.LABELS_MASKED)
    if found is None:
        return
    count = sum(found.values)
    if count <= HANDFUL.value:
        return
    share = _share(run, count)
    severity = _severity(count, share)
    part = f" ({share:.0%} of the samples seen)" if share is not None else ""
    yield Finding(
        rule="labels-masked",
        severity=severity,
        confidence="high" if share is not None else "medium",
        summary=f"{count:.0f} samples had their targets masked away{part}: nothing is learned from them",
        evidence=_evidence(found),
        first_step=_step(run, found, 0),
        last_step=_step(run, found, len(found) - 1),
        facts={"samples": count, "share": share, "step_source": run.step_source},
    )


def _evidence(found: Series) -> tuple[Evidence, ...]:
    return (at(found, 0, "first message"), at(found, len(found) - 1, "last message"))


def _share(run: Run, count: float) -> float | None:
    batch, last = run.environment.number("run:train_batch_size"), run.last_step
    if not batch or not last:
        return None
    return min(1.0, count / (batch * last))


def _severity(count: float, share: float | None) -> Severity:
    if share is None:
        return "critical" if count >= MANY.value else "warning"
    return "critical" if share >= MOST.value else "warning" if share >= FEW.value else "info"


def _step(run: Run, found: Series, index: int) -> int | None:
    return found.steps[index] if run.first_step is not None and found.steps[index] > 0 else None
