"""Numbers, sizes, durations and scalars as programs print them."""

from __future__ import annotations

import math

import pytest

from parsers.values import duration_seconds, number, scalar, size_bytes


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.5", 1.5), ("'1.5'", 1.5), ('"2e-05"', 2e-5), ("1E-5", 1e-5), ("-0.0", 0.0), ("+3", 3.0), (".5", 0.5), ("1,234.5", 1234.5),
        ("665,298", 665298.0), ("inf", math.inf), ("-Infinity", -math.inf), ("'0'", 0.0), ("tensor(1.5)", 1.5), ("1e400", math.inf),
        ("tensor(1.2345, device='cuda:0', dtype=torch.float64, grad_fn=<DivBackward0>)", 1.2345), ("tensor([1.5])", 1.5),
        ("np.float64(2.0)", 2.0), ("np.float32(-inf)", -math.inf), ("array(1.5, dtype=float32)", 1.5), ("np.int64(7)", 7.0),
    ],
)  # fmt: skip
def test_numbers(text: str, value: float) -> None:
    assert number(text) == value


@pytest.mark.parametrize("text", ["nan", "NaN", "-nan", "'nan'", "tensor(nan, device='cuda:0')", "np.float64(nan)", "-nan(ind)"])
def test_nan(text: str) -> None:
    value = number(text)
    assert value is not None and math.isnan(value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "None",
        "auto",
        "1_000",
        "1,2",
        "1,2,3",
        "tensor([1.0, 2.0])",
        "tensor(",
        "1.5.2",
        "12 GB",
        "nano",
        "+",
        "0x10",
        "''",
    ],
)
def test_no_numbers(text: str) -> None:
    assert number(text) is None


def test_sizes() -> None:
    assert size_bytes("1.95 GiB") == 1.95 * 2**30 and size_bytes("376.00MiB") == 376 * 2**20 and size_bytes("12 bytes") == 12
    assert size_bytes("79.15 GB") == 79.15 * 2**30 and size_bytes("a lot") is None and size_bytes("3 parsecs") is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1:02:03", 3723),
        ("02:03", 123),
        ("1 day, 2:03:04", 93784),
        ("2 days, 0:00:01", 172801),
        ("2-03:04:05", 183845),
        ("0:12:34.5", 754.5),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "?", "day", ", day", "-", "1:xx", "1 day"])
def test_no_durations(text: str) -> None:
    assert duration_seconds(text) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("True", True), ("false", False), ("None", None), ("null", None), ("4", 4), ("-1", -1), ("1e-05", 1e-5), ("'zero2.json'", "zero2.json"),
        ('"4"', "4"), ("2,4,4", "2,4,4"), ("auto", "auto"), ("1" * 30, float("1" * 30)), ("", ""),
    ],
)  # fmt: skip
def test_scalars(text: str, value: object) -> None:
    assert scalar(text) == value and type(scalar(text)) is type(value)
