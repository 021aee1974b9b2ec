"""Log text made harmless, and measured in terminal cells: control characters shown, never obeyed.

A log may hold ANSI sequences, NULs, carriage returns or marks that turn the reading direction round. They are data:
`neutral` makes each of them visible so that it can neither move a cursor nor reorder a line.
"""

from __future__ import annotations

import math
import unicodedata
from typing import Final

_BIDI: Final = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_CLOSING: Final = "，。；：、？！）」』》"
_OPENING: Final = "（「『《"
"""CJK punctuation: the one never begins a line, the other never ends one."""
_SEPARATORS: Final = (0x2028, 0x2029, 0xFEFF)
_VISIBLE: Final[dict[int, str]] = {
    **{code: chr(0x2400 + code) for code in range(0x20)},
    0x09: "    ",
    0x0A: " ",
    0x7F: "\u2421",
    **{code: f"\\x{code:02x}" for code in range(0x80, 0xA0)},
    **{code: f"<U+{code:04X}>" for code in (*_BIDI, *_SEPARATORS)},
    **dict.fromkeys(range(0xD800, 0xE000), "\ufffd"),
}


def neutral(text: str) -> str:
    """One line of text with control characters, reading-direction marks and lone surrogates made visible.

    Tabs and line feeds become spaces: a cause's text may span lines, a line of a log cannot.
    """
    return text if text.isascii() and text.isprintable() else text.translate(_VISIBLE)


def cells(text: str) -> int:
    """How many terminal columns the text takes: CJK characters take two, combining marks none."""
    return len(text) if text.isascii() else sum(_cell(char) for char in text)


def _cell(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def clip(text: str, width: int) -> str:
    """The text cut to `width` columns, `…` at the cut."""
    if cells(text) <= width:
        return text
    kept, used = [], 0
    for char in text:
        used += _cell(char)
        if used > width - 1:
            break
        kept.append(char)
    return "".join(kept).rstrip() + "…"


def clip_left(text: str, width: int) -> str:
    """A path cut from the left to `width` columns: its end says more than its beginning."""
    if cells(text) <= width:
        return text
    kept, used = "", 1
    for char in reversed(text):
        used += _cell(char)
        if used > width:
            break
        kept = char + kept
    return "…" + kept


def pad(text: str, width: int) -> str:
    """The text followed by spaces up to `width` columns."""
    return text + " " * max(0, width - cells(text))


def wrap(text: str, width: int) -> list[str]:
    """The text in lines of at most `width` columns, broken at spaces, or anywhere between CJK characters."""
    lines, line = [], ""
    for word in _words(text):
        if line and cells(line) + cells(word.rstrip()) > width:
            lines.append(line.rstrip())
            line = ""
        while cells(word.rstrip()) > width:
            at = _fitting(word, width)
            lines.append(word[:at])
            word = word[at:]
        line += word
    return [*lines, line.rstrip()] if line.strip() or not lines else lines


def _fitting(word: str, width: int) -> int:
    """How many characters of a word fit into `width` columns; at least one."""
    used = 0
    for index, char in enumerate(word):
        used += _cell(char)
        if used > width:
            return max(1, index)
    return len(word)


def _words(text: str) -> list[str]:
    """What a line may not be broken in: words with the space behind them, single CJK characters with their punctuation."""
    words: list[str] = []
    word = ""
    for char in text:
        if char in _CLOSING and not word and words and not words[-1].endswith(" "):
            words[-1] += char
            continue
        word += char
        if char == " " or (_cell(char) == 2 and char not in _OPENING):
            words.append(word)
            word = ""
    return [*words, word] if word else words


def number(value: float | int | None) -> str:
    """A value as one would write it: 5,198 · 1.91 · 0.0 · 2e-05 · nan · inf."""
    if value is None:
        return "–"
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}" if abs(value) >= 10 else f"{value:.1f}"
    size = abs(value)
    return f"{value:,.0f}" if 1e4 <= size < 1e7 else f"{value:.4g}"


def place(file: str, line: int) -> str:
    """`run.log:112`: the file's name and the line, as editors take it; an option of the command line has no lines."""
    name = file.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1] or file
    return f"{neutral(name)}:{line}" if line and not file.startswith("--") else neutral(name)
