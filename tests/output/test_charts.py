from __future__ import annotations

import json
import math
from dataclasses import replace

from analyzer.model import Curve
from analyzer.output import charts
from analyzer.output.overview import overview
from analyzer.output.strings import catalogue
from tests.output import diagnoses

S = catalogue("en")


def test_points_that_are_not_finite_are_drawn_and_counted_at_their_step() -> None:
    figure = charts.figure(diagnoses.rich(), S)
    assert figure is not None
    marks = next(trace for trace in figure["data"] if trace["name"] == "gradient norm: not finite")
    assert marks["x"] == list(range(38, 81))
    assert set(marks["text"]) == {"nan"} and marks["marker"]["symbol"] == "x"
    titles = [one["text"] for one in figure["layout"]["annotations"]]
    assert any("gradient norm" in title and "43 not finite" in title for title in titles)


def test_one_step_axis_windows_onset_and_skipped_steps() -> None:
    figure = charts.figure(diagnoses.rich(), S)
    assert figure is not None
    assert {trace["xaxis"] for trace in figure["data"]} == {"x"}
    shapes = figure["layout"]["shapes"]
    onset = next(shape for shape in shapes if shape.get("name") == "onset")
    assert onset["x0"] == onset["x1"] == 38
    assert {"finding": 0, "first": 38, "last": 80, "axis": "y2"} in figure["windows"]
    skipped = next(trace for trace in figure["data"] if trace["name"] == "skipped step")
    assert skipped["x"] == [38, 39, 40] and skipped["customdata"] == [112, 113, 114]


def test_a_spike_beyond_the_axis_keeps_its_value_and_line() -> None:
    steps = tuple(range(300))
    values = tuple(7e5 if step == 150 else 2.0 + 0.01 * (step % 9) for step in steps)
    loss = Curve("loss", "loss", 300, 0, 2.0, 2.0, steps, values, tuple(step + 10 for step in steps), "run.log", "x")
    figure = charts.figure(replace(diagnoses.healthy(), run=diagnoses.summary(curves=(loss,))), S)
    assert figure is not None
    far = next(trace for trace in figure["data"] if trace["name"] == "loss: beyond the axis")
    assert (far["x"], far["text"], far["customdata"]) == ([150], ["700,000"], [160])
    assert figure["layout"]["yaxis"]["range"][1] < 10
    assert "axis cut at" in figure["layout"]["annotations"][0]["text"]


def test_the_figure_is_json_that_cannot_leave_its_script() -> None:
    text = charts.as_json(charts.figure(diagnoses.hostile(), S))
    assert "<" not in text and "\u2028" not in text and "NaN" not in text
    json.loads(text)


def test_constant_metrics_take_no_panel() -> None:
    flat = Curve("memory_gpu", "m", 3, 0, 0.87, 0.87, (1, 2, 3), (0.87,) * 3, (1, 2, 3), "f", "x")
    figure = charts.figure(replace(diagnoses.healthy(), run=diagnoses.summary(curves=(*diagnoses.curves(), flat))), S)
    assert figure is not None and "GPU memory" not in {trace["name"] for trace in figure["data"]}


def test_no_curve_no_figure_and_no_picture() -> None:
    assert charts.figure(diagnoses.empty(), S) is None
    assert overview(diagnoses.empty(), S) is None


def test_the_picture_shows_the_lost_values_and_where_it_began() -> None:
    picture = overview(diagnoses.rich(), S)
    assert picture is not None
    loss, norm, _scale = picture.lanes
    assert norm.bad.count("M") == 43 and not loss.bad
    assert picture.onset_text == "step 38" and picture.onset_at is not None and math.isclose(picture.onset_at, 46.84)
    assert "43 not finite" in picture.description


def test_the_bundle_is_read_without_importing_plotly() -> None:
    import sys

    text = charts.bundle()
    assert text is not None and "plotly.js" in text[:200]
    assert "plotly" not in sys.modules
