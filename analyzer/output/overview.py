"""The picture: the whole run in one static SVG, readable without scripts, on paper and on a phone.

Curves are stretched to the width of the page while texts keep their size: each lane is an `<svg>` of its own under a line of
text. Only numbers that we computed enter the drawing; names and captions go through the template's escaping.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from analyzer.model import Curve, Diagnosis
from analyzer.output.panels import Panel, caption, extent, onset, panels, title
from analyzer.output.plain import number
from analyzer.output.strings import Strings

WIDTH: Final = 1000
HEIGHT: Final = 48
TICK: Final = 7
MAX_LANES: Final = 3
_LANES: Final = ("loss", "grad_norm", "loss_scale", "lr")


@dataclass(frozen=True, slots=True)
class Lane:
    """One curve: `path` and `bad` are SVG path data in a box of WIDTH × HEIGHT; `windows` are (x, width, severity)."""

    name: str
    caption: str
    path: str
    bad: str
    beyond: str
    skipped: str
    windows: tuple[tuple[float, float, str], ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """What the template draws: lanes, the ends of the step axis, and where it began (percent of the width)."""

    lanes: tuple[Lane, ...]
    first: str
    last: str
    onset_at: float | None
    onset_text: str
    description: str


def overview(diagnosis: Diagnosis, s: Strings) -> Overview | None:
    """The picture of a run, or None where it has no curve."""
    shown = panels(diagnosis)
    named = [panel for panel in shown if panel.metric in _LANES] or list(shown)
    chosen = named[:MAX_LANES]
    if not chosen:
        return None
    span = extent(chosen)
    lanes = tuple(_lane(panel, span, s) for panel in chosen)
    began = onset(diagnosis)
    place = None if began is None else max(0.0, min(100.0, _x(began.step, span) / WIDTH * 100))
    first, last = number(span[0]), number(span[1])
    told = "; ".join(f"{lane.name}: {lane.caption}" for lane in lanes)
    return Overview(
        lanes, first, last, None if place is None else round(place, 2),
        "" if began is None else s("curve.at_step", step=number(began.step)),
        s("ui.overview_alt", first=first, last=last, lanes=told),
    )  # fmt: skip


def _x(step: int, span: tuple[int, int]) -> float:
    return (step - span[0]) / max(1, span[1] - span[0]) * WIDTH


def _lane(panel: Panel, span: tuple[int, int], s: Strings) -> Lane:
    one = panel.curves[0]
    bad, beyond = [], []
    for step, value in zip(one.steps, one.values, strict=True):
        if not math.isfinite(value):
            bad.append(_tick(step, span, 0))
        elif not panel.scale.holds(value):
            beyond.append(_tick(step, span, 0 if value > panel.scale.high else HEIGHT - TICK))
    windows = tuple(
        (round(_x(w.first, span), 1), round(max(3.0, _x(w.last, span) - _x(w.first, span)), 1), w.severity)
        for w in panel.windows
        if w.severity != "info"
    )
    skipped = "".join(_tick(step, span, HEIGHT - TICK) for step, _ in panel.skipped)
    return Lane(title(panel, s), caption(panel, s), _path(one, panel, span), "".join(bad), "".join(beyond), skipped, windows)


def _tick(step: int, span: tuple[int, int], top: int) -> str:
    return f"M{_x(step, span):.1f} {top}v{TICK}"


def _path(one: Curve, panel: Panel, span: tuple[int, int]) -> str:
    """The line, broken where a value is not finite."""
    parts, pen = [], "M"
    for step, value in zip(one.steps, one.values, strict=True):
        if not math.isfinite(value):
            pen = "M"
            continue
        y = (1 - panel.scale.share(value)) * (HEIGHT - 4) + 2
        parts.append(f"{pen}{_x(step, span):.1f} {y:.1f}")
        pen = "L"
    if len(parts) == 1:
        parts.append("h2")
    return "".join(parts)
