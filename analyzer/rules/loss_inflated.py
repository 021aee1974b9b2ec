"""The logged loss is a multiple of what it can be: sums over accumulation steps, or far above ln(vocabulary)."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Final

from analyzer.median import median
from analyzer.model import Finding, Severity
from analyzer.onset import judged
from analyzer.regime import is_language_model, is_policy_training, is_preference_training
from analyzer.rule import Threshold, at, number, rule
from analyzer.signals import current
from parsers import Run, Series, metrics

FIRST: Final = Threshold(3, "Records at the start whose median is the initial loss.")
ABOVE_CHANCE: Final = Threshold(1.5, "Times ln(vocabulary): a fresh model starts at it, a badly initialised one a little above.")
LARGEST: Final = Threshold(262144, "Entries of the largest vocabulary in use: guessing costs ln of it, 12.5, or less.")
TOLERANCE: Final = Threshold(0.15, "Relative distance of train/eval from the number of accumulation steps.")
MIN_EVALUATIONS: Final = Threshold(2, "Evaluations at which the ratio must be that number: one may be chance.")
MIN_SHARE: Final = Threshold(0.5, "Share of the evaluations at which the ratio must be that number: half of them.")
NEAR: Final = Threshold(10, "Records before an evaluation whose median it is compared with.")
_SUMMING: Final = re.compile(r"4\.4[6-9]\.")
"""Releases of transformers that summed the loss of many models over the accumulation steps."""


@rule(
    title="the logged loss is a multiple of what it can be",
    severity="warning",
    needs=("loss",),
    thresholds={
        "first": FIRST,
        "above-chance": ABOVE_CHANCE,
        "largest-vocabulary": LARGEST,
        "tolerance": TOLERANCE,
        "min-evaluations": MIN_EVALUATIONS,
        "min-share": MIN_SHARE,
        "near": NEAR,
    },
)
def loss_inflated(run: Run) -> Iterator[Finding]:
    """Training loss over evaluation loss against the accumulation steps; else the first loss against that of guessing."""
    series = run.series(metrics.LOSS)
    assert series is not None
    kept, _ = judged(run, series)
    if len(kept) < FIRST.value or is_policy_training(run):
        return
    steps = _accumulation(run)
    found = _multiple(run, series, kept, steps) if steps else None
    found = found or _above_chance(run, series, kept, steps) or _above_any_vocabulary(run, series, kept, steps)
    if found is not None:
        yield found


def _accumulation(run: Run) -> int:
    """Gradient accumulation steps of 2 or more as the run says them, else 0."""
    keys = ("arg:gradient_accumulation_steps", "run:gradient_accumulation_steps", "config:gradient_accumulation_steps")
    known = next((value for key in keys if (value := run.environment.number(key))), 0.0)
    return int(known) if known >= 2 else 0


def _multiple(run: Run, series: Series, kept: Sequence[int], steps: int) -> Finding | None:
    evaluations = run.series(metrics.EVAL_LOSS)
    if evaluations is None:
        return None
    at_steps = [series.steps[i] for i in kept]
    pairs: list[tuple[int, float]] = []
    for j in current(evaluations):
        place = bisect_right(at_steps, evaluations.steps[j])
        near = [series.values[i] for i in kept[max(0, place - NEAR.value) : place]]
        if near and evaluations.values[j] > 0:
            pairs.append((j, median(near) / evaluations.values[j]))
    close = [(j, ratio) for j, ratio in pairs if abs(ratio / steps - 1) <= TOLERANCE.value]
    if len(close) < max(MIN_EVALUATIONS.value, MIN_SHARE.value * len(pairs)):
        return None
    j, ratio = close[0]
    beside = max(0, bisect_right(at_steps, evaluations.steps[j]) - 1)
    return Finding(
        rule="loss-inflated",
        severity="warning",
        confidence="high" if len(close) > 2 else "medium",
        summary=f"training loss is {number(ratio)} times the evaluation loss, and gradients are accumulated over {steps} steps: "
        "the logged loss is a sum, not a mean",
        evidence=(at(series, kept[beside], "training loss"), at(evaluations, j, "evaluation loss")),
        first_step=series.steps[kept[0]],
        last_step=series.steps[kept[-1]],
        facts={"ratio": round(ratio, 3), "accumulation_steps": steps, "evaluations": len(close), "step_source": run.step_source},
    )


def _above_chance(run: Run, series: Series, kept: Sequence[int], steps: int) -> Finding | None:
    vocabulary = run.environment.number("model:vocab_size")
    if not vocabulary or vocabulary < 100:
        return None
    chance, first = math.log(vocabulary), median(series.values[i] for i in kept[: FIRST.value])
    if first <= ABOVE_CHANCE.value * chance:
        return None
    multiple = bool(steps) and first / steps <= ABOVE_CHANCE.value * chance
    also = f"; divided by the {steps} accumulation steps it is {number(first / steps)}" if multiple else ""
    return Finding(
        rule="loss-inflated",
        severity="warning",
        confidence="medium" if multiple else "low",
        summary=f"loss starts at about {number(first)}, {number(first / chance)} times ln({vocabulary:.0f}) = {number(chance)}, "
        f"the loss of guessing{also}",
        evidence=(at(series, kept[0], "first loss"),),
        first_step=series.steps[kept[0]],
        facts={"first": first, "chance": round(chance, 4), "accumulation_steps": steps or None, "step_source": run.step_source},
    )


def _above_any_vocabulary(run: Run, series: Series, kept: Sequence[int], steps: int) -> Finding | None:
    """Without a vocabulary or an evaluation: higher than guessing in any vocabulary, and no longer so when divided by the steps.

    A warning where something says that this is a language model, or a release that summed; else a remark: regression and CTC
    have losses of any size.
    """
    if not steps or run.environment.number("model:vocab_size") or run.series(metrics.EVAL_LOSS) is not None:
        return None
    chance, first = math.log(LARGEST.value), median(series.values[i] for i in kept[: FIRST.value])
    if first <= ABOVE_CHANCE.value * chance or first / steps > chance or is_preference_training(run):
        return None
    sums = _SUMMING.match(str(run.environment.value("package:transformers") or ""))
    severity: Severity = "warning" if sums or is_language_model(run) else "info"
    return Finding(
        rule="loss-inflated",
        severity=severity,
        confidence="medium" if sums else "low",
        summary=f"loss starts at about {number(first)}, more than guessing costs in any vocabulary; divided by the {steps} "
        f"accumulation steps it is {number(first / steps)}",
        evidence=(at(series, kept[0], "first loss"),),
        first_step=series.steps[kept[0]],
        facts={"first": first, "accumulation_steps": steps, "step_source": run.step_source},
    )
