from __future__ import annotations

import math

from analyzer.model import Curve
from analyzer.output.scale import scale


def curve(values: list[float], metric: str = "loss") -> Curve:
    bad = sum(1 for value in values if not math.isfinite(value))
    steps = tuple(range(len(values)))
    return Curve(metric, metric, len(values), bad, values[0], values[-1], steps, tuple(values), steps)


def test_an_outlier_is_cut_off_and_counted() -> None:
    axis = scale([curve([2.0 + 0.1 * math.sin(i) for i in range(200)] + [5e4])])
    assert axis.high < 3 and axis.beyond == 1 and axis.extreme == 5e4


def test_a_divergence_is_no_outlier() -> None:
    axis = scale([curve([2.0] * 50 + [2.0 + i for i in range(50)])])
    assert not axis.is_cut and axis.high >= 51


def test_orders_of_magnitude_get_a_log_axis_unless_a_value_is_not_positive() -> None:
    values = [10.0 ** (i / 20) for i in range(100)]
    assert scale([curve(values)]).is_log
    assert not scale([curve([*values, 0.0])]).is_log
    assert scale([curve([65536.0, 32768.0], "loss_scale")]).is_log


def test_odd_curves_have_an_axis() -> None:
    for values in ([math.nan], [0.0], [5.0, 5.0], [math.inf, 1.0], [1e308, -1e308], [1e-320, 1e300]):
        axis = scale([curve(values)])
        assert axis.low < axis.high and math.isfinite(axis.low) and math.isfinite(axis.high)
        assert all(0 <= axis.share(value) <= 1 for value in values if math.isfinite(value))
