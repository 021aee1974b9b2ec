"""Shapes of curves: each is met on the curve it is named after, and not on the one it must be told from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pytest

from analyzer import shapes
from parsers import Run, Series

NAN, INF = math.nan, math.inf


def run_of(metrics: Mapping[str, Sequence[float]], segments: Sequence[int] | None = None) -> Run:
    tracks = []
    for metric, values in metrics.items():
        series = Series(metric, metric, "test", "run.log")
        for index, value in enumerate(values):
            series.append(index + 1, value, index + 1, segment=segments[index] if segments else 0)
        tracks.append(series)
    return Run("run.log", tracks=tuple(tracks))


DIES = [2.2, 2.1, 2.0, 1.9, 0.0, 0.0, 0.0, 0.0]
HEALTHY = [2.2, 2.1, 2.0, 1.9, 1.8, 1.7, 1.65, 1.6]


@pytest.mark.parametrize(
    ("metric", "shape", "met", "unmet"),
    [
        ("grad_norm", "sentinel", {"loss": DIES, "grad_norm": [3, 2, 2, 2, *[math.sqrt(2)] * 4]}, {"loss": DIES, "grad_norm": [3, 2, 2, 2, *[1.37] * 4]}),
        ("grad_norm", "is-nan", {"grad_norm": [1, NAN]}, {"grad_norm": [1, 2]}),
        ("loss", "is-infinite", {"loss": [1, INF]}, {"loss": [1, NAN]}),
        ("grad_norm", "zero-at-onset", {"loss": DIES, "grad_norm": [3, 2, 2, 2, 0, 0, 0, 0]}, {"loss": DIES, "grad_norm": [3, 2, 2, 2, NAN, NAN, NAN, NAN]}),
        ("grad_norm", "stale", {"loss": DIES, "grad_norm": [3, 2, 2.5, 2.25, 2.25, 2.25, 2.25, 2.25]}, {"loss": DIES, "grad_norm": [3, 2, 2, 2, 1, 2, 3, 4]}),
        ("loss", "healthy-start", {"loss": DIES}, {"loss": [2.2, 0, 0, 0]}),
        ("loss", "permanent", {"loss": DIES}, {"loss": [2.2, 2.1, NAN, 2.0, 1.9, 1.8]}),
        ("loss", "recovers", {"loss": [2.2, 2.1, NAN, 2.0]}, {"loss": DIES}),
        ("loss", "isolated-bad", {"loss": [2.2, NAN, 2.1, 2.0, NAN, 1.9]}, {"loss": DIES}),
        ("loss", "inflated-before-zero", {"loss": [2.2, 2.1, 344093.2, 0, 0, 0]}, {"loss": DIES}),
        ("grad_norm", "rises-before-onset", {"loss": [2, 2, 2, 2, 2, 2, NAN, NAN], "grad_norm": [1, 1, 2, 4, 8, 20, NAN, NAN]}, {"loss": DIES, "grad_norm": [2, 2, 2, 2, NAN, NAN, NAN, NAN]}),
        ("grad_norm", "nan-at-first-record", {"loss": [1, 0], "grad_norm": [NAN, NAN]}, {"loss": [1, 0], "grad_norm": [1, NAN]}),
        ("loss", "plausible-at-first-nan", {"loss": [0.9, 0, 0], "grad_norm": [NAN, NAN, NAN]}, {"loss": [0, 0, 0], "grad_norm": [NAN, NAN, NAN]}),
        ("loss", "near-ln2", {"loss": [0.6931, 0.6932, 0.693]}, {"loss": [0.69, 0.6, 0.5]}),
        ("loss", "near-ln-vocabulary", {"loss": [11.93] * 5}, {"loss": [11.93, 9.0, 8.0, 7.0, 6.0]}),
        ("loss", "above-uniform", {"loss": [22.5, 20]}, {"loss": [11.9, 10]}),
        ("loss", "multiple-of-eval", {"loss": [8.0, 8.1, 8.0], "eval_loss": [2.0, 2.0, 2.0]}, {"loss": [2.0, 2.1, 1.9], "eval_loss": [2.0, 2.0, 2.0]}),
        ("loss", "settles-high", {"loss": [2.1, 1.8, 1.6, 1.5, 1.6, 3.0, 6.0, 7.0, 7.2, 7.1, 7.2]}, {"loss": HEALTHY}),
        ("loss", "falls", {"loss": HEALTHY}, {"loss": [2.0, 2.1, 2.0, 2.1, 2.0, 2.1]}),
        ("loss", "flat", {"loss": [2.0, 2.01] * 6}, {"loss": [*HEALTHY, 1.5, 1.4, 1.3]}),
        ("lr", "leaves-zero", {"lr": [0, 0, 1e-6]}, {"lr": [0, 0, 0]}),
        ("lr", "ends-early", {"lr": [3e-5, 2e-5, 1e-5, 0, 0, 0, 0, 0, 0, 0, 0, 0]}, {"lr": [1e-5 * (12 - i) for i in range(12)]}),
        ("lr", "stands-still", {"loss": DIES, "lr": [1e-5, 2e-5, 3e-5, 4e-5, 5e-5, 5e-5, 5e-5, 5e-5]}, {"loss": DIES, "lr": [1e-5 * i for i in range(8)]}),
        ("overflow", "streak-to-floor", {"overflow": [4, 2, 1]}, {"overflow": [65536, 32768]}),
        ("overflow", "search-ends", {"overflow": [65536, 32768], "loss": HEALTHY}, {"overflow": [4, 2, 1], "loss": HEALTHY}),
        ("skipped_steps", "levels-off", {"skipped_steps": [1, 2, 3, 3]}, {"skipped_steps": [1, 2, 3, 4]}),
        ("rewards/margins", "zero-throughout", {"rewards/margins": [0, 0]}, {"rewards/margins": [0, 0.1]}),
    ],
)  # fmt: skip
def test_shape(metric: str, shape: str, met: Mapping[str, list[float]], unmet: Mapping[str, list[float]]) -> None:
    state, evidence = shapes.ask(run_of(met), metric, shape)
    assert state == "met"
    assert evidence and evidence[0].ref.line >= 1
    assert shapes.ask(run_of(unmet), metric, shape)[0] == "not-met"
    assert shapes.ask(run_of({"other": [1.0]}), metric, shape)[0] == "unknown"


def test_a_jump_belongs_to_a_resume_not_to_another_run() -> None:
    values = [4.0, 3.0, 2.5, 2.0, 1.9, 1.8, 1.7, 1.7, 2.4, 2.3, 2.2]
    resumed = run_of({"loss": values}, [0] * 8 + [1] * 3)
    assert shapes.ask(resumed, "loss", "jumps-after-restart")[0] == "met"
    assert shapes.ask(run_of({"loss": values}), "loss", "jumps-after-restart")[0] == "unknown"
    again = run_of({"loss": [*values[:8], 4.0, 3.0, 2.5]}, [0] * 8 + [1] * 3)
    assert shapes.ask(again, "loss", "jumps-after-restart")[0] == "not-met"


def test_steps_down_at_epochs_but_not_a_steady_fall() -> None:
    epochs = [0.1 * (i + 1) - 0.01 for i in range(30)]
    stairs = [1.9] * 10 + [1.2] * 10 + [0.7] * 10
    slope = [1.9 - 0.02 * i for i in range(30)]
    assert shapes.ask(run_of({"loss": stairs, "epoch": epochs}), "loss", "drops-at-epochs")[0] == "met"
    assert shapes.ask(run_of({"loss": slope, "epoch": epochs}), "loss", "drops-at-epochs")[0] == "not-met"


@pytest.mark.parametrize(
    ("question", "state"),
    [("first > 2", "met"), ("last < 1", "not-met"), ("max >= 2.2", "met"), ("median < 1.9", "met"), ("count == 8", "met")],
)
def test_statistics(question: str, state: str) -> None:
    assert shapes.ask(run_of({"loss": HEALTHY}), "loss", question)[0] == state


def test_a_norm_that_is_logged_late_has_no_first_record() -> None:
    run = run_of({"loss": [5.6, 5.3, 5.1]})
    late = Series("grad_norm", "grad_norm", "test", "run.log")
    late.append(3, NAN, 3)
    run.tracks = (*run.tracks, late)
    assert shapes.ask(run, "grad_norm", "nan-at-first-record")[0] == "unknown"


@pytest.mark.parametrize("name", sorted(shapes.SHAPES))
def test_no_shape_raises_on_odd_series(name: str) -> None:
    for values in ([NAN], [0.0], [INF, -INF], [NAN] * 40, [0.0] * 40, [1.0]):
        for others in ({}, {"loss": values, "grad_norm": values, "epoch": values, "eval_loss": values}):
            assert shapes.ask(run_of({"x": values, **others}), "x", name)[0] in ("met", "not-met", "unknown")
            assert shapes.ask(run_of({"loss": values, **others}), "loss", name)[0] in ("met", "not-met", "unknown")
