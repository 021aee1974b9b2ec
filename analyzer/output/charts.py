"""Curves → a figure for Plotly's own bundle: one step axis, one panel a metric, nothing dropped.

The figure is plain JSON built here, and the bundle is read as a file out of the installed package: importing plotly
would cost more than the whole report. Colours are names of CSS variables (`--c1`), so that the page's theme decides.
"""

from __future__ import annotations

import importlib.util
import json
import math
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from analyzer.model import Curve, Diagnosis
from analyzer.output.panels import Panel, caption, extent, onset, panels, title
from analyzer.output.plain import neutral, number
from analyzer.output.strings import Strings

PANEL_PIXELS: Final = 132
GAP_PIXELS: Final = 46
EDGE_PIXELS: Final = 52
"""Below the last panel: the step axis with its title."""
TOP_PIXELS: Final = 30
FEW_POINTS: Final = 60
"""Below this many points each is marked: a line alone would hide how few there are."""
_COLORS: Final = ("--c1", "--c2")

Json = dict[str, Any]


@cache
def bundle() -> str | None:
    """The text of Plotly's bundle, or None where the package does not carry it."""
    spec = importlib.util.find_spec("plotly")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "package_data" / "plotly.min.js"
    try:
        text = path.read_text("utf-8")
    except OSError:
        return None
    return None if re.search("</[sS][cC][rR][iI][pP][tT]", text) else text


def figure(diagnosis: Diagnosis, s: Strings) -> Json | None:
    """`data`, `layout`, `windows` (panel and steps of each finding) and `short` titles for phones; None without curves."""
    shown = panels(diagnosis)
    if not shown:
        return None
    height = len(shown) * (PANEL_PIXELS + GAP_PIXELS) - GAP_PIXELS
    traces: list[Json] = []
    for index, panel in enumerate(shown):
        traces += _traces(panel, index, s)
    windows = [
        {"finding": w.index, "first": w.first, "last": w.last, "axis": _axis(index)}
        for index, panel in enumerate(shown)
        for w in panel.windows
    ]
    short = [f"<b>{_markup(title(panel, s))}</b>" for panel in shown]
    return {"data": traces, "layout": _layout(diagnosis, shown, height, s), "windows": windows, "short": short}


def as_json(value: Any) -> str:
    """JSON that is safe inside a `<script>` element: no `<`, no line separators, no NaN."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _axis(index: int) -> str:
    return "y" if index == 0 else f"y{index + 1}"


def _rounded(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None


def _traces(panel: Panel, index: int, s: Strings) -> list[Json]:
    traces: list[Json] = []
    for place, one in enumerate(panel.curves):
        traces.append(_line(one, _axis(index), _COLORS[place % len(_COLORS)], s))
        bad = [(step, value, line) for step, value, line in _points(one) if not math.isfinite(value)]
        far = [p for p in _points(one) if math.isfinite(p[1]) and not panel.scale.holds(p[1])]
        name = _markup(neutral(s.name("metric", one.metric)))
        traces += _marks(bad, panel, _axis(index), f"{name}: {s('curve.not_finite_mark')}", "x", "--critical", s)
        traces += _marks(far, panel, _axis(index), f"{name}: {s('curve.beyond_mark')}", "triangle-up", "--warning", s)
    skipped = [(step, math.nan, line) for step, line in panel.skipped]
    return traces + _marks(skipped, panel, _axis(index), s("curve.skip_mark"), "line-ns-open", "--warning", s)


def _points(one: Curve) -> list[tuple[int, float, int]]:
    return list(zip(one.steps, one.values, one.lines or (0,) * len(one.steps), strict=False))


def _line(one: Curve, axis: str, color: str, s: Strings) -> Json:
    points = _points(one)
    line = neutral(s("curve.line", line="%{customdata}"))
    return {
        "type": "scatter", "mode": "lines+markers" if len(points) <= FEW_POINTS else "lines", "yaxis": axis, "xaxis": "x",
        "name": _markup(neutral(s.name("metric", one.metric))), "x": [p[0] for p in points],
        "y": [_rounded(p[1]) for p in points],
        "customdata": [p[2] for p in points], "hovertemplate": f"%{{y:.6~g}}  ({line})", "connectgaps": False,
        "line": {"color": color, "width": 1.6}, "marker": {"color": color, "size": 4},
        "meta": neutral(one.file),
    }  # fmt: skip


def _marks(
    points: Sequence[tuple[int, float, int]], panel: Panel, axis: str, name: str, symbol: str, color: str, s: Strings
) -> list[Json]:
    """Marks along an edge of the panel: what cannot be drawn at its value is drawn at its step."""
    if not points:
        return []
    is_skip = symbol.startswith("line")
    top, bottom = panel.scale.high, panel.scale.low
    texts = ["" if is_skip else number(value) for _, value, _ in points]
    line = neutral(s("curve.line", line="%{customdata}"))
    return [
        {
            "type": "scatter", "mode": "markers", "yaxis": axis, "xaxis": "x", "name": name, "x": [p[0] for p in points],
            "y": [bottom if is_skip or (math.isfinite(p[1]) and p[1] < bottom) else top for p in points], "text": texts,
            "customdata": [p[2] for p in points], "hovertemplate": f"%{{text}}  ({line})", "cliponaxis": False,
            "marker": {"symbol": symbol, "size": 7, "color": color, "line": {"width": 1.5, "color": color}},
            "meta": neutral(panel.curves[0].file),
        }
    ]  # fmt: skip


def _layout(diagnosis: Diagnosis, shown: Sequence[Panel], height: int, s: Strings) -> Json:
    first, last = extent(shown)
    margin = max(1.0, (last - first) * 0.015)
    layout: Json = {
        "height": height + EDGE_PIXELS + TOP_PIXELS, "margin": {"l": 58, "r": 14, "t": TOP_PIXELS, "b": EDGE_PIXELS},
        "showlegend": False, "hovermode": "x unified", "hoversubplots": "axis", "dragmode": "zoom",
        "shapes": [], "annotations": [],
        "xaxis": {
            "domain": [0, 1], "anchor": _axis(len(shown) - 1), "title": {"text": s("curve.step")},
            "range": [first - margin, last + margin], "showspikes": True, "spikemode": "across", "spikethickness": 1,
            "spikedash": "dot", "spikesnap": "cursor", "tickformat": ",d",
            "unifiedhovertitle": {"text": s("curve.step") + " %{x:,d}"},
        },
    }  # fmt: skip
    for index, panel in enumerate(shown):
        _add_panel(layout, panel, index, height, s)
    began = onset(diagnosis)
    if began is not None:
        layout["shapes"].append(
            {
                "type": "line", "xref": "x", "yref": "paper", "x0": began.step, "x1": began.step, "y0": 0, "y1": 1,
                "line": {"color": "--critical", "width": 1.5, "dash": "dash"}, "name": "onset",
            }
        )  # fmt: skip
        layout["annotations"].append(_onset_label(began.step, (first, last), s))
    return layout


def _add_panel(layout: Json, panel: Panel, index: int, height: int, s: Strings) -> None:
    top = 1 - index * (PANEL_PIXELS + GAP_PIXELS) / height
    bottom = max(0.0, top - PANEL_PIXELS / height)
    ends = (panel.scale.low, panel.scale.high)
    layout["yaxis" if index == 0 else f"yaxis{index + 1}"] = {
        "domain": [round(bottom, 5), round(top, 5)], "anchor": "x", "type": "log" if panel.scale.is_log else "linear",
        "range": [math.log10(end) for end in ends] if panel.scale.is_log else list(ends), "fixedrange": True, "nticks": 5,
        "zeroline": False, "exponentformat": "power" if panel.scale.is_log else "e",
        "tickfont": {"size": 9.6 if panel.scale.is_log else 12},
    }  # fmt: skip
    detail = caption(panel, s)
    layout["annotations"].append(
        {
            "text": f"<b>{_markup(title(panel, s))}</b>  {_markup(detail)}", "xref": "paper", "yref": "paper", "x": 0,
            "y": round(top, 5), "xanchor": "left", "yanchor": "bottom", "showarrow": False, "yshift": 5, "align": "left",
        }
    )  # fmt: skip
    least = (layout["xaxis"]["range"][1] - layout["xaxis"]["range"][0]) / 400
    for window in panel.windows:
        layout["shapes"].append(
            {
                "type": "rect", "xref": "x", "yref": f"{_axis(index)} domain", "x0": window.first - least,
                "x1": window.last + least, "y0": 0,
                "y1": 1, "fillcolor": f"--{window.severity}", "opacity": 0.13, "line": {"width": 0}, "layer": "below",
            }
        )  # fmt: skip


def _onset_label(step: int, span: tuple[int, int], s: Strings) -> Json:
    is_late = step - span[0] > (span[1] - span[0]) * 0.8
    return {
        "text": s("curve.at_step", step=number(step)), "xref": "x", "yref": "paper", "x": step, "y": 1, "yanchor": "top",
        "xanchor": "right" if is_late else "left", "showarrow": False, "font": {"color": "--critical", "size": 12},
    }  # fmt: skip


def _markup(text: str) -> str:
    """Plotly reads a few HTML tags in its texts; log text has none."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
