"""An evaluation metric is NaN or infinite: the weights are gone, or one evaluation batch had no label."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from analyzer.model import Finding, Severity
from analyzer.rule import rule, span, until
from analyzer.signals import Streak, non_finite_streaks
from parsers import Run, Series, metrics

PREFIXES: Final = ("eval_", "eval/", "val_", "val/", "valid", "test_", "test/")
"""Names of evaluation metrics; of those that the contract does not name, only the loss-like ones are critical."""


@rule(title="an evaluation metric is NaN or infinite", severity="critical", needs=("eval_loss",))
def eval_nan(run: Run) -> Iterator[Finding]:
    """The first evaluation metric that is not finite, losses first."""
    tracks = sorted((track for track in run.tracks if _is_evaluation(track)), key=lambda track: "loss" not in track.metric)
    for track in tracks:
        bad = non_finite_streaks(track.values)
        if bad:
            yield _finding(run, track, bad)
            return


def _is_evaluation(track: Series) -> bool:
    return track.metric in (metrics.EVAL_LOSS, metrics.EVAL_ACCURACY) or track.name.lower().startswith(PREFIXES)


def _finding(run: Run, track: Series, bad: Sequence[Streak]) -> Finding:
    first, last = bad[0], bad[-1]
    is_final = last.stop == len(track)
    return Finding(
        rule="eval-nan",
        severity=_severity(track, bad, is_final),
        confidence="high",
        summary=f"{track.name} is nan or infinite {until(track, first.start, first.stop)}"
        + (f", and {len(bad) - 1} more time{'s' if len(bad) > 2 else ''}" if len(bad) > 1 else ""),
        evidence=span(track, first.start, first.stop, "bad evaluation"),
        first_step=track.steps[first.start],
        last_step=track.steps[last.stop - 1],
        facts={
            "metric": track.name,
            "records": sum(streak.length for streak in bad),
            "of": len(track),
            "recovered": not is_final,
            "last_good_step": track.steps[first.start - 1] if first.start else None,
            "step_source": run.step_source,
        },
    )


def _severity(track: Series, bad: Sequence[Streak], is_final: bool) -> Severity:
    """A loss that stays bad is critical; a mere metric, or one that was bad once, deserves a look."""
    if "loss" in track.metric and is_final:
        return "critical"
    is_sanity_check = len(bad) == 1 and bad[0].stop == 1 and not is_final
    return "info" if is_sanity_check else "warning"
