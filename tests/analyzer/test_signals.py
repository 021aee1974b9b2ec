"""Shapes of series: what the rules stand on."""

from __future__ import annotations

import math
import random
import sys
import time
from collections.abc import Sequence

import pytest

from analyzer import rule as rules
from analyzer.onset import first_bad, is_rounded_zero, onset, sound
from analyzer.regime import is_policy_training, precision
from analyzer.rules.lr_anomaly import _rises
from analyzer.rules.throughput_drop import MIN_RECORDS, _on_bar
from analyzer.scaler import skips, stretches
from analyzer.signals import (
    Streak,
    aligned,
    are_finite,
    block_medians,
    current,
    current_finite,
    end_medians,
    excursions,
    fall,
    is_interleaved,
    level_shift,
    noise,
    non_finite_streaks,
    resolution,
    rolling_median,
    streaks,
    thinned,
)
from parsers.model import Environment, Fact, Run, Series, SourceRef


def series(values: Sequence[float], metric: str = "loss", steps: Sequence[int] = (), segments: Sequence[int] = ()) -> Series:
    made = Series(metric, metric, "test", "run.log")
    for i, value in enumerate(values):
        made.append(steps[i] if steps else i + 1, value, i + 1, None, segments[i] if segments else 0)
    return made


def run(*tracks: Series, facts: Sequence[tuple[str, object]] = ()) -> Run:
    known = [Fact(key, value, SourceRef("run.log", 1)) for key, value in facts]  # type: ignore[arg-type]
    return Run("run.log", tracks=tracks, environment=Environment(known), step_source="printed")


def check(id_: str, judged: Run) -> list[tuple[str, int | None]]:
    rule = next(one for one in rules.load() if one.id == id_)
    found, _, _ = rules.run_rule(rule, judged, strict=True)
    return [(finding.severity, finding.first_step) for finding in found]


def noisy(level: float, count: int, sigma: float, seed: int = 1) -> list[float]:
    source = random.Random(seed)
    return [level + source.gauss(0, sigma) for _ in range(count)]


def test_streaks_are_maximal() -> None:
    assert list(streaks([0, 1, 1, 0, 1], bool)) == [Streak(1, 3), Streak(4, 5)]
    assert non_finite_streaks([1.0, 2.0]) == []
    assert non_finite_streaks([1.0, math.nan, math.inf, 2.0]) == [Streak(1, 3)]


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_finite_values_are_told_from_others(odd: float) -> None:
    assert are_finite([]) and are_finite([1.0, -2.0]) and are_finite([1e308, 1e308, -1e308])
    assert not are_finite([1.0, odd]) and not are_finite([math.inf, -math.inf, odd])


def test_noise_ignores_trend_and_outliers() -> None:
    straight = [5 - 0.01 * i for i in range(100)]
    assert noise(straight) == pytest.approx(0, abs=1e-9)
    assert noise([*noisy(2, 200, 0.1), 1e9, 2.0]) == pytest.approx(0.1, rel=0.3)


def test_rolling_median_looks_back_only() -> None:
    assert rolling_median([1, 2, 3, 100, 5], 3) == [1, 1, 1.5, 2, 3]


@pytest.mark.parametrize(
    ("values", "unit"),
    [([1.25, 3.1, 0.07], 0.01), ([3.0, 4.0], 1.0), ([0.1234, 2.0], 0.0001), ([math.pi, math.e], 0.0)],
)
def test_resolution_is_the_unit_of_the_last_printed_digit(values: list[float], unit: float) -> None:
    assert resolution(values) == pytest.approx(unit)


def test_current_history_leaves_out_what_a_restart_repeats() -> None:
    made = series([5, 4, 3, 2, 3.1, 2.1], steps=[1, 2, 3, 4, 3, 4], segments=[0, 0, 0, 0, 1, 1])
    assert list(current(made)) == [0, 1, 4, 5]
    assert list(current(series([1, 2, 3]))) == [0, 1, 2]


def test_several_runs_in_one_file_count_as_the_last_one() -> None:
    made = series([5, 4, 5, 4, 5, 4], steps=[1, 2, 1, 2, 1, 2], segments=[0, 0, 1, 1, 2, 2])
    assert list(current(made)) == [4, 5]


def test_two_models_that_share_lines_are_interleaved() -> None:
    assert is_interleaved(series([1.0] * 20, steps=[i // 2 for i in range(20)]))
    assert not is_interleaved(series([1.0] * 20))


def test_alignment_is_by_step_and_restart() -> None:
    loss = series([3, 2, 1], steps=[1, 2, 3])
    norm = series([0.5, math.nan], metric="grad_norm", steps=[1, 3])
    values = aligned(loss, norm)
    assert values[:2] == [0.5, None]
    assert values[2] is not None and math.isnan(values[2])
    assert aligned(loss, None) == [None, None, None]


def test_block_medians_and_thinning_keep_levels() -> None:
    assert block_medians([1, 2, 3, 10, 11, 12], 3) == [2, 11]
    assert len(block_medians([1.0] * 5, 1)) == 5
    assert 3000 < len(thinned(range(1_000_000))) <= 4000


def test_fall_gives_both_ends_and_its_error() -> None:
    first, last, error = fall([4.0] * 10 + [2.0] * 10)
    assert (first, last, error) == (4.0, 2.0, 0.0)


def test_excursions_join_neighbours_and_name_the_peak() -> None:
    values = [*[2.0] * 20, 6.0, 2.0, 7.0, *[2.0] * 10]
    found = excursions(values, lambda level: 1.0)
    assert [(e.start, e.stop, e.peak, e.level) for e in found] == [(20, 23, 22, 2.0)]


def test_a_level_shift_is_found_where_it_begins_and_pauses_are_not() -> None:
    fast, slow = noisy(0.02, 101, 0.001), noisy(0.23, 80, 0.01)
    shift = level_shift(fast + slow, 2.0)
    assert shift is not None
    assert shift.start == 101
    pauses = [5.0 if i % 25 == 0 else v for i, v in enumerate(noisy(0.02, 200, 0.001))]
    assert level_shift(pauses, 2.0) is None


def test_zeros_of_a_large_loss_are_bad_and_those_of_a_small_one_are_rounded() -> None:
    assert first_bad(series([4.0, 3.0, 0.0, 0.0])) == 2
    assert first_bad(series([4.0, 0.0, 3.0, 2.0])) is None
    assert first_bad(series([0.0003, 0.0001, 0.0, 0.0])) is None
    assert not is_rounded_zero([5.0, 4.0, 0.0], 2)
    assert sound(series([4.0, 3.0, 0.0, 0.0])) == [0, 1]


def test_the_onset_is_the_earlier_one_of_loss_and_norm() -> None:
    loss, norm = series([3.0, 2.9, 0.0, 0.0]), series([1.0, math.nan, math.nan, math.nan], metric="grad_norm")
    found = onset(run(loss, norm))
    assert found is not None
    assert (found.series.metric, found.step, found.index_in(loss)) == ("grad_norm", 2, 1)


def test_precision_is_stated_or_shown_by_the_scale() -> None:
    assert precision(run(facts=[("arg:bf16", True)])) == "bf16"
    assert precision(run(facts=[("config:fp16.enabled", "true")])) == "fp16"
    assert precision(run(series([65536.0], metric="loss_scale"))) == "fp16"
    assert precision(run(series([1.0], metric="loss_scale"))) is None


def test_policy_training_is_told_by_its_metrics_and_preference_training_is_not_it() -> None:
    assert is_policy_training(run(series([0.1], metric="reward")))
    assert not is_policy_training(run(series([0.1], metric="rewards/chosen")))


def test_skips_that_do_not_halve_the_scale_are_no_streak() -> None:
    apart = series([65536, 65536, 32768], metric="overflow", steps=[501, 501, 502])
    assert [s.length for s in stretches(skips(run(apart)), 1)] == [1, 2]
    chain = series([65536, 32768, 16384], metric="overflow", steps=[30, 31, 32])
    assert [(s.length, s.is_search) for s in stretches(skips(run(chain)), 1)] == [(3, False)]


def test_a_scale_that_can_fall_no_further_goes_on_overflowing() -> None:
    floor = series([8, 4, 2, 1, 1, 1, 1, 1, 1], metric="overflow", steps=[30, 31, 32, 33, 34, 35, 36, 37, 38])
    assert [(s.length, s.is_search) for s in stretches(skips(run(floor)), 1)] == [(9, False)]
    losses = series([5.7] * 38, steps=list(range(1, 39)))
    assert check("overflow-streak", run(losses, floor)) == [("critical", 30)]


def test_a_counter_that_knew_of_the_first_search_contradicts_nothing() -> None:
    search = series([65536 / 2**i for i in range(7)], metric="overflow", steps=[1, 2, 3, 4, 5, 6, 7])
    knows, knows_not = (series([n] * 40, "skipped_steps", range(10, 401, 10)) for n in (7, 0))
    assert check("nondeterministic-counters", run(search, knows)) == []
    assert check("nondeterministic-counters", run(search, knows_not)) == [("info", 1)]


def test_a_run_of_7360_steps_with_139_sporadic_skips_is_healthy() -> None:
    steps = sorted(random.Random(3).sample(range(100, 7360), 133))
    told = series([65536 / 2**i for i in range(6)], metric="overflow", steps=[1, 2, 3, 4, 5, 6])
    for step in steps:
        told.append(step, 65536.0, step)
    counter = series([6 + sum(s <= step for s in steps) for step in range(10, 7361, 10)], "skipped_steps", range(10, 7361, 10))
    judged = run(told, counter)
    for id_ in ("overflow-streak", "scale-collapse", "scale-at-minimum", "nondeterministic-counters"):
        assert [found for found in check(id_, judged) if found[0] != "info"] == [], id_


def test_a_streak_by_the_counter_alone_is_found() -> None:
    lost = series(list(range(10, 60)), "skipped_steps", range(10, 60))
    assert check("overflow-streak", run(lost, series([5.7] * 50, steps=list(range(10, 60))))) == [("critical", 10)]


def test_constant_data_that_falls_to_a_small_loss_is_not_zero() -> None:
    falling = [4.7, 1.8, 0.06, 0.003, 0.001] + [0.0005] * 40
    assert check("loss-zero", run(series(falling))) == []
    assert check("divergence", run(series(falling))) == []


def test_nan_of_one_rank_alone_is_found() -> None:
    good, bad = series([3.0, 2.9, 2.8, 2.7]), series([3.0, math.nan, math.nan, math.nan])
    bad.rank = 3
    assert check("loss-nan", run(good, bad)) == [("critical", 2)]


def test_a_norm_masked_and_divided_by_the_scale_is_recognised() -> None:
    norm = series([0.3, 0.31, 2**0.5 / 1024, 2**0.5 / 1024, 2**0.5 / 1024], "grad_norm")
    scale = series([1024.0] * 5, "loss_scale")
    assert check("grad-constant", run(norm, scale, series([3.0, 2.9, math.nan, math.nan, math.nan]))) == [("critical", 3)]


def test_a_high_learning_rate_leaves_only_two_good_records() -> None:
    values = [1.4, 3.0, 20.0, 29.7, 25.0, 14.0, 11.0, 9.5, *noisy(7.6, 50, 0.15)]
    assert check("divergence", run(series(values)))[0][0] == "critical"


def harder(norm_after: float) -> tuple[Series, Series]:
    """A fall within 40 records, then a steady rise over 160; the norm before is at most 0.8."""
    loss = [5.0 - 0.1 * i for i in range(40)] + [1.0 + 0.02 * i for i in range(160)]
    norm = [0.8 - 0.005 * i for i in range(40)] + [0.6 + (norm_after - 0.6) * i / 160 for i in range(160)]
    shaken = [value + 0.02 * (-1) ** i for i, value in enumerate(loss)]
    return series(shaken), series(norm, "grad_norm")


def test_a_curriculum_is_a_note_and_a_rise_with_its_gradients_is_a_divergence() -> None:
    assert [severity for severity, _ in check("divergence", run(*harder(0.7)))] == ["info"]
    assert [severity for severity, _ in check("divergence", run(*harder(3.0)))] == ["critical"]
    assert [severity for severity, _ in check("divergence", run(harder(0.7)[0]))] == ["critical"]
    clipped = series([1.0] * 200, "grad_norm")
    assert [severity for severity, _ in check("divergence", run(harder(0.7)[0], clipped))] == ["critical"]


@pytest.mark.parametrize("id_", ["loss-spike", "divergence", "no-progress", "grad-explosion", "loss-zero", "throughput-drop"])
@pytest.mark.parametrize("seed", range(20))
def test_healthy_noise_is_quiet(id_: str, seed: int) -> None:
    source = random.Random(seed)
    count = source.choice([40, 150, 600, 2000])
    sigma, tail = source.choice([0.02, 0.1, 0.5]), source.choice([2.5, 5.0])
    loss = [
        max(
            0.05, 1.5 + 3 * math.exp(-4 * i / count) + sigma * source.gauss(0, 1) / math.sqrt(source.gammavariate(tail, 1 / tail))
        )
        for i in range(count)
    ]
    norm = [math.exp(source.gauss(0, 0.5)) for _ in range(count)]
    pace = [0.5 + 0.05 * source.random() + (5 if i % 50 == 49 else 0) for i in range(count)]
    judged = run(series(loss), series(norm, "grad_norm"), series(pace, "step_time"))
    assert [found for found in check(id_, judged) if found[0] != "info"] == []


@pytest.mark.slow
def test_rules_are_linear() -> None:
    def seconds(count: int) -> float:
        judged = run(series(noisy(3, count, 0.1)), series(noisy(1, count, 0.1), "grad_norm"), series([1e-4] * count, "lr"))
        start = time.perf_counter()
        for one in rules.load():
            rules.run_rule(one, judged, strict=True)
        return time.perf_counter() - start

    seconds(1000)
    assert seconds(200_000) < 40 * max(seconds(20_000), 0.01)


@pytest.mark.parametrize("count", [2000, 2003, 2007, 4001, 9500])
def test_long_series_have_the_same_noise_and_excursions_with_numpy(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy  # noqa: F401

    values = [value + (3.0 if index % 997 == 0 else 0.0) for index, value in enumerate(noisy(2.0, count, 0.1))]
    quick = noise(values), excursions(values, lambda level: level / 4, 20)
    monkeypatch.delitem(sys.modules, "numpy")
    assert (noise(values), excursions(values, lambda level: level / 4, 20)) == quick
    assert len(quick[1]) >= 2


@pytest.mark.parametrize("count", [1, 2, 7, 8, 11, 12, 13, 100])
@pytest.mark.parametrize("width", [1, 3, 8])
def test_the_end_medians_are_the_first_and_the_last_block_median(count: int, width: int) -> None:
    values = noisy(1.0, count, 1.0)
    medians = block_medians(values, width)
    assert end_medians(values, width) == (medians[0], medians[-1])


def test_the_pace_on_a_bar_is_taken_over_windows_that_no_restart_parts() -> None:
    source, bar = random.Random(4), series([])
    step, second, segment = 0, 0.0, 0
    for _ in range(4000):
        if source.random() < 0.01:
            second, segment = 0.0, segment + 1
        step, second = step + source.choice((0, 1, 1, 3)), second + source.choice((0.0, 0.1, 0.7, 12.3))
        bar.append(step, second, 1, second, segment)
    pace = _on_bar(bar)
    assert (list(pace.indices), pace.values) == windows(bar)
    assert len(pace.values) > 100


@pytest.mark.parametrize("seconds", [1.0, 3.0, 5.0])
def test_a_bar_of_too_little_time_has_no_pace_worth_judging(seconds: float) -> None:
    bar = series([])
    for i in range(40):
        bar.append(i, i * seconds, 1, i * seconds)
    pace = _on_bar(bar)
    assert bool(pace.values) == (seconds > 4)
    assert pace.values or len(windows(bar)[1]) < MIN_RECORDS.value


@pytest.mark.parametrize("seed", range(60))
def test_a_rate_with_one_peak_is_judged_as_any_other(seed: int) -> None:
    source, count = random.Random(seed), 30
    peak = source.randrange(count)
    rates = [1.0 - abs(i - peak) / count for i in range(count)]
    if seed % 2:
        rates[source.randrange(count)] *= source.choice((0.1, 1.0, 3.0))
    plain, gap = series(rates, "lr"), series([math.nan, *rates], "lr")  # one that is not finite: looked at point by point
    assert _rises(plain, current_finite(plain)) == _rises(gap, current_finite(gap))


def windows(bar: Series) -> tuple[list[int], list[float]]:
    """Point by point what `_on_bar` finds by searching, for windows of ten seconds."""
    indices, values, start = [], [], 0
    for i in range(1, len(bar)):
        if bar.segments[i] != bar.segments[start]:
            start = i
        elif bar.steps[i] > bar.steps[start] and bar.times[i] - bar.times[start] >= 10.0:
            indices.append(start)
            values.append((bar.times[i] - bar.times[start]) / (bar.steps[i] - bar.steps[start]))
            start = i
    return indices, values
