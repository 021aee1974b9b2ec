from __future__ import annotations

import math

import pytest

from analyzer.output.plain import cells, clip, clip_left, neutral, number, pad, place, wrap


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("a\x1b[31mb", "a\u241b[31mb"),
        ("nul\x00", "nul\u2400"),
        ("back\x08\x7f", "back\u2408\u2421"),
        ("\u202eexe.gnp", "<U+202E>exe.gnp"),
        ("line\u2028sep", "line<U+2028>sep"),
        ("tab\tend\nnext", "tab    end next"),
        ("csi\x9b31m", "csi\\x9b31m"),
        ("half\ud800", "half\ufffd"),
        ("héllo 损失", "héllo 损失"),
    ],
)
def test_control_characters_are_shown_and_never_obeyed(text: str, shown: str) -> None:
    assert neutral(text) == shown
    assert neutral(shown) == shown


def test_widths_count_terminal_columns() -> None:
    assert cells("loss") == 4
    assert cells("损失") == 4
    assert clip("损失缩放", 5) == "损失…"
    assert clip("short", 5) == "short"
    assert clip_left("/very/long/path/run.log", 10) == "…h/run.log"
    assert pad("损失", 6) == "损失  "


def test_wrapping_holds_the_width() -> None:
    assert wrap("one two three", 7) == ["one two", "three"]
    assert wrap("", 10) == [""]
    for width in (5, 8, 13):
        for text in ("a" * 40, "训练损失恰好为零从第三十八步起", "mixed 训练 loss and more words " * 3):
            assert all(cells(line) <= width for line in wrap(text, width))


@pytest.mark.parametrize(
    ("value", "text"),
    [(5198, "5,198"), (1.91, "1.91"), (0.0, "0.0"), (2e-05, "2e-05"), (65536.0, "65,536"), (math.nan, "nan"), (-math.inf, "-inf"),
     (12345.678, "12,346"), (1e20, "1e+20"), (None, "–")],
)  # fmt: skip
def test_numbers_read_as_one_writes_them(value: float | None, text: str) -> None:
    assert number(value) == text


def test_places_are_what_editors_take() -> None:
    assert place("/runs/a/run.log", 112) == "run.log:112"
    assert place("C:\\runs\\run.log", 3) == "run.log:3"
    assert place("run.log", 0) == "run.log"
