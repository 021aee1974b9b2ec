"""`Comparison` → one HTML file without scripts: differences first, then both runs drawn over each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from analyzer.model import Curve
from analyzer.output import comparison, html, story, translate
from analyzer.output.plain import neutral, number
from analyzer.output.scale import Scale, scale
from analyzer.output.strings import Strings, catalogue

if TYPE_CHECKING:
    from analyzer.compare import Comparison
    from analyzer.output.redact import Redaction
    from analyzer.parting import Parting

WIDTH: Final = 1000
HEIGHT: Final = 140
EDGE: Final = 4
TICK: Final = 8
MAX_LANES: Final = 6


@dataclass(frozen=True, slots=True)
class Lane:
    """One metric of both runs as SVG path data in a box of WIDTH × HEIGHT; `parting_at` in percent of the width."""

    name: str
    caption: str
    description: str
    good: str
    bad: str
    not_finite: str
    high: str
    low: str
    first: str
    last: str
    parting_at: float | None
    parting_step: str


def render(one: Comparison, lang: str = "en", redacted: Sequence[Redaction] | None = None) -> str:
    """The comparison as one HTML text."""
    s = catalogue(lang)
    only = [d for d in one.differences if not d.is_change and not d.is_incidental]
    incidental = [d for d in one.differences if d.is_change and d.is_incidental]
    return html.render_static(
        "compare.html.j2", ("report.css", "compare.css"), lang, c=one, headline=comparison.headline(one, s),
        sides=[("good", one.good), ("bad", one.bad)], lanes=_lanes(one, s), only=only, incidental=incidental,
        told=comparison.verdict_on_changes(one, s), comparison=comparison, progress=story.progress, redacted=redacted,
        title=partial(translate.title, s=s),
    )  # fmt: skip


def _lanes(one: Comparison, s: Strings) -> list[Lane]:
    ours = {curve.metric: curve for curve in one.good.run.curves if curve.steps}
    theirs = {curve.metric: curve for curve in one.bad.run.curves if curve.steps}
    parts = {part.metric: part for part in one.partings}
    ordered = sorted(parts.values(), key=lambda part: (part.step is None, _place(part.metric)))
    named = [part.metric for part in ordered if part.metric in ours and part.metric in theirs]
    return [_lane(ours[metric], theirs[metric], parts[metric], s) for metric in named[:MAX_LANES]]


def _place(metric: str) -> int:
    usual = ("loss", "grad_norm", "loss_scale", "eval_loss", "accuracy", "lr")
    return usual.index(metric) if metric in usual else len(usual)


def _lane(good: Curve, bad: Curve, part: Parting, s: Strings) -> Lane:
    axis = scale([good, bad])
    finite = [value for one in (good, bad) for value in one.values if math.isfinite(value)]
    first, last = min(*good.steps, *bad.steps), max(*good.steps, *bad.steps)
    name = neutral(s.name("metric", good.metric))
    at = None if part.step is None else round((part.step - first) / max(1, last - first) * 100, 2)
    return Lane(
        name=name,
        caption=" · ".join([comparison.parted(part, s), s("compare.records", n=part.common)]),
        description=s("compare.picture_alt", metric=name, first=number(first), last=number(last)),
        good=_path(good, axis, first, last),
        bad=_path(bad, axis, first, last),
        not_finite="".join(f"M{_x(step, first, last):.1f} 0v{TICK}" for step, value in _points(bad) if not math.isfinite(value)),
        high=number(_rounded(min(axis.high, max(finite)) if finite else axis.high)),
        low=number(_rounded(max(axis.low, min(finite)) if finite else axis.low)),
        first=number(first),
        last=number(last),
        parting_at=at,
        parting_step="" if part.step is None else s("curve.at_step", step=number(part.step)),
    )


def _points(one: Curve) -> list[tuple[int, float]]:
    return list(zip(one.steps, one.values, strict=True))


def _x(step: int, first: int, last: int) -> float:
    return (step - first) / max(1, last - first) * WIDTH


def _path(one: Curve, axis: Scale, first: int, last: int) -> str:
    """The line, broken where a value is not finite."""
    parts, pen = [], "M"
    for step, value in _points(one):
        if not math.isfinite(value):
            pen = "M"
            continue
        y = (1 - axis.share(value)) * (HEIGHT - 2 * EDGE) + EDGE
        parts.append(f"{pen}{_x(step, first, last):.1f} {y:.1f}")
        pen = "L"
    return "".join(parts) + ("h2" if len(parts) == 1 else "")


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")
