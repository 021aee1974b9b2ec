from __future__ import annotations

import math

from analyzer.output.sparkline import sparkline

STEPS = tuple(range(1, 11))


def test_curves_share_one_step_axis_and_nan_is_never_hidden() -> None:
    values = [9.0, 8, 7, 6, 5, math.nan, math.nan, math.inf, 5, 5]
    assert sparkline(STEPS, values, 10, (1, 10)) == "█▇▅▃▁✕✕✕▁▁"


def test_one_nan_among_many_still_shows() -> None:
    steps = tuple(range(1000))
    values = [1.0 + step % 7 for step in steps]
    values[500] = math.nan
    assert sparkline(steps, values, 20, (0, 999)).count("✕") == 1


def test_a_lost_loss_shows_zeros() -> None:
    values = [3.0, 2.5, 2.0, 1.5, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    assert sparkline(STEPS, values, 10, (1, 10), zero_from=6).endswith("00000")


def test_an_outlier_does_not_flatten_the_rest() -> None:
    values = [1.0, 2, 3, 4, 5, 4, 3, 2, 1, 2] * 4
    values[17] = 1e9
    drawn = sparkline(tuple(range(40)), values, 40, (0, 39))
    assert len(set(drawn)) > 3


def test_gaps_are_filled_and_nothing_raises_on_odd_input() -> None:
    assert sparkline((1, 10), [1.0, 2.0], 10, (1, 10)) == "▁▁▁▁▁▁▁▁▁█"
    assert sparkline((), [], 5, (0, 0)) == "     "
    assert sparkline((1,), [math.nan], 3, (1, 1)) == "✕  "
