"""Which curves are drawn, in which panel, with which axis, windows and marks: shared by the picture and the charts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from analyzer.model import Curve, Diagnosis, Finding
from analyzer.output import story
from analyzer.output.plain import neutral, number
from analyzer.output.scale import Scale, scale
from analyzer.output.strings import Strings

MAX_PANELS: Final = 9
_TOGETHER: Final = (
    ("loss", "eval_loss"), ("grad_norm",), ("loss_scale",), ("lr",), ("throughput_samples",), ("throughput_tokens",),
    ("step_time",), ("memory_gpu",), ("memory_host",), ("accuracy", "eval_accuracy"),
)  # fmt: skip
_NOT_DRAWN: Final = ("epoch", "overflow", "overflow_hysteresis", "skipped_steps", "nan_steps", "labels_masked")
_PANEL_OF_RULE: Final = {
    "loss": "loss", "divergence": "loss", "no": "loss", "overfitting": "loss", "labels": "loss", "eval": "loss",
    "grad": "grad_norm", "lr": "lr", "overflow": "loss_scale", "scale": "loss_scale", "throughput": "throughput_samples",
    "memory": "memory_gpu",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Window:
    """The steps that a finding holds for; `index` is its place among the findings."""

    index: int
    first: int
    last: int
    severity: str


@dataclass(frozen=True, slots=True)
class Panel:
    """Curves on one value axis, the windows of the findings about them, and the skipped steps."""

    curves: tuple[Curve, ...]
    scale: Scale
    windows: tuple[Window, ...]
    skipped: tuple[tuple[int, int], ...] = ()
    """(step, line) of steps that the loss scaler skipped."""

    @property
    def metric(self) -> str:
        """The metric that names the panel."""
        return self.curves[0].metric


@dataclass(frozen=True, slots=True)
class Onset:
    """The step at which the report says that it began."""

    step: int
    index: int


def panels(diagnosis: Diagnosis) -> tuple[Panel, ...]:
    """The panels top to bottom; empty where the run has no curve."""
    curves = {one.metric: one for one in diagnosis.run.curves if one.steps}
    groups = [[curves[metric] for metric in group if metric in curves] for group in _TOGETHER]
    usual = {metric for group in _TOGETHER for metric in group}
    groups += [[one] for metric, one in curves.items() if metric not in usual and metric not in _NOT_DRAWN]
    groups = [kept for kept in ([one for one in group if _varies(one)] for group in groups) if kept][:MAX_PANELS]
    names = [group[0].metric for group in groups]
    skips = curves.get("overflow")
    host = next((name for name in ("loss_scale", "grad_norm", "loss") if name in names), "")
    return tuple(
        Panel(
            tuple(group),
            scale(group),
            tuple(_windows(diagnosis.findings, group[0].metric, names)),
            tuple(zip(skips.steps, skips.lines, strict=False)) if skips and group[0].metric == host else (),
        )
        for group in groups
    )


def _varies(one: Curve) -> bool:
    """Whether a curve is worth a panel; the loss and the gradient norm always are."""
    changes = len(set(one.values)) > 1 and len(set(one.steps)) > 1
    return one.metric in ("loss", "grad_norm") or changes or one.non_finite > 0


def steady(diagnosis: Diagnosis, s: Strings) -> str:
    """`loss scale 1.0 · GPU memory 0.87`: the metrics of one value or one step, which no panel shows."""
    kept = [one for one in diagnosis.run.curves if one.steps and not _varies(one) and one.metric not in _NOT_DRAWN]
    ends = ((one, number(one.first), number(one.last)) for one in kept)
    return " · ".join(
        f"{neutral(s.name('metric', one.metric))} {first if first == last else s('curve.last_of', first=first, last=last)}"
        for one, first, last in ends
    )


def _windows(findings: Sequence[Finding], metric: str, names: Sequence[str]) -> Iterator[Window]:
    for index, finding in enumerate(findings):
        about = _PANEL_OF_RULE.get(finding.rule.split("-")[0], "")
        if about == "throughput_samples" and about not in names:
            about = "throughput_tokens" if "throughput_tokens" in names else "step_time"
        if about == metric and finding.first_step is not None:
            last = finding.last_step if finding.last_step is not None else finding.first_step
            yield Window(index, finding.first_step, max(last, finding.first_step), finding.severity)


def onset(diagnosis: Diagnosis) -> Onset | None:
    """The step of the finding that the report opens with."""
    finding = story.leading(diagnosis)
    if finding is None or finding.first_step is None:
        return None
    return Onset(finding.first_step, diagnosis.findings.index(finding))


def extent(shown: Sequence[Panel]) -> tuple[int, int]:
    """First and last step of all panels."""
    steps = [step for panel in shown for one in panel.curves for step in (min(one.steps), max(one.steps))]
    return (min(steps), max(steps)) if steps else (0, 1)


def caption(panel: Panel, s: Strings, with_ends: bool = True) -> str:
    """`loss  1.91 → 0.0 · 43 values are not finite · log scale · axis cut at …`: what the lines alone do not say."""
    one = panel.curves[0]
    parts = [s("curve.last_of", first=number(one.first), last=number(one.last))] if with_ends else []
    bad = sum(curve.non_finite for curve in panel.curves)
    parts += [s("curve.non_finite", n=bad)] if bad else []
    parts += [s("curve.skips", n=len(panel.skipped))] if panel.skipped else []
    parts += [s("curve.log")] if panel.scale.is_log else []
    if panel.scale.is_cut:
        limit = panel.scale.high if panel.scale.extreme > panel.scale.high else panel.scale.low
        parts.append(s("curve.cut", n=panel.scale.beyond, limit=number(_rounded(limit)), extreme=number(panel.scale.extreme)))
    return " · ".join(parts)


def title(panel: Panel, s: Strings) -> str:
    """The metrics of the panel."""
    return " / ".join(neutral(s.name("metric", one.metric)) for one in panel.curves)


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")
