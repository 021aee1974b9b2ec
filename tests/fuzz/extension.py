"""What is fuzzed of the extension: it says what the pure way says, and no program of forms makes it read where it may not.

The first byte says what the others are: a log, a block of lines, or a program of `tell` calls with the block that it is for.
Run under a sanitizer (`python -m tests.sanitize`), where reading one byte too many ends the process.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Final

from parsers import registry
from parsers.native import extension
from parsers.plain import Shape
from parsers.prepare import Fragments
from parsers.registry import Router
from parsers.scanner import Scanner
from parsers.skeletons import MAX_SKELETON, skeleton
from parsers.source import Block, Cutter

SPLIT: Final = b"\xff\xfe"
"""Between the parts of a program."""
MAX_NUMBERS: Final = 600


class OtherResultError(Exception):
    """The extension says something else than Python."""


class _Pure(Router):
    """Readers without the extension."""

    sorter = None  # type: ignore[assignment]


@cache
def _routers() -> tuple[Router, Router]:
    return Router(registry.text_formats()), _Pure(registry.text_formats())


def lines(data: bytes) -> None:
    """One input."""
    native: Any = extension()
    if native is None:
        return
    kinds: tuple[Callable[[Any, bytes], None], ...] = (_log, _log, _block, _program)
    kinds[data[0] % len(kinds) if data else 0](native, data[1:])


_PLAIN: Final[dict[bytes, Shape]] = {}
"""Skeletons of plain lines that were seen."""


def _log(_: Any, data: bytes) -> None:
    """A log by both engines. Lines that have a plain line's skeleton and not its form (`%4|` for `4%|`, a percentage of twelve
    digits) are what only a forger writes: of those each engine takes some for plain that the other does not.
    """
    if _is_forged(data):
        return
    whole, pure = (_records(router, data) for router in _routers())
    if whole != pure:
        raise OtherResultError(f"{_first_difference(whole, pure)}")


def _is_forged(data: bytes) -> bool:
    by_first = _routers()[1].shapes.by_first
    bare = []
    for fragment, _, text in _fragments(data):
        shape = next((one for one in by_first.get(fragment[0] if fragment else -1, ()) if one.pattern.match(fragment)), None)
        if shape and text is not None:
            _PLAIN[text] = shape
        bare.append((fragment, text or b""))
    return any(text in _PLAIN and not _PLAIN[text].pattern.match(fragment) for fragment, text in bare)


def _records(router: Router, data: bytes) -> list[str]:
    scanner, cutter, found = Scanner(router, "run.log", strict=True), Cutter(), list[str]()
    for block in [*cutter.feed(data), *cutter.close()]:
        found += [repr(record) for record in scanner.feed(block)]
    return [*found, *(repr(record) for record in scanner.close())]


def _first_difference(one: list[str], other: list[str]) -> str:
    pairs = zip([*one, ""], [*other, ""], strict=False)
    return next((f"{left} / {right}" for left, right in pairs if left != right), "one is longer")


def _block(native: Any, data: bytes) -> None:
    """Two blocks by one sorter, as fragments with numbers and skeletons."""
    sorter, known = native.Sorter(5, 7), list[bytes]()
    for part in (data, data[len(data) // 2 :]):
        expected = list(_fragments(part))
        size, feeds, fresh, texts = sorter.sort(part, b"\r\n" in part[:2048])
        for kind, text in enumerate(texts.split(b"\n")[:-1], fresh):
            known.append(text)
            if skeleton(sorter.line(kind)) != text:
                raise OtherResultError("the first line of a kind is of another one")
            sorter.tell(kind, kind)
        found: list[object] = [None] * size
        for group, *columns, _, _ in sorter.gather(1, b"\1" * len(known)):
            at, starts, stops = (array("i", column) for column in columns[:3])
            for place, start, stop, number in zip(at, starts, stops, array("q", columns[3]), strict=True):
                found[place] = part[start:stop], number, known[group] if group >= 0 else None
        if found != expected or feeds != part.count(b"\n"):
            raise OtherResultError("other fragments")


def _fragments(data: bytes) -> Iterator[tuple[bytes, int, bytes | None]]:
    _, texts, numbers = Fragments(Block(data, 1)).made() if data else (b"", (), ())
    for text, number in zip(texts, numbers, strict=False):
        bare = skeleton(text)
        yield text, number, bare if len(bare) <= MAX_SKELETON else None


def _program(native: Any, data: bytes) -> None:
    """A block, and for each of its kinds four parts of numbers; what `gather` gives then stands in the block."""
    block, *parts = data.split(SPLIT)
    sorter = native.Sorter(5, 7)
    size, *_ = sorter.sort(block, b"\r\n" in block[:2048])
    count, _ = sorter.size()
    for kind in range(min(count, 50)):
        program = parts[5 * kind % (len(parts) or 1) :][:5]
        group = program[4][0] % 4 if len(program) > 4 and program[4] else 0
        try:
            sorter.tell(kind, group, *numbers(*program[:3]), *program[3:4])
        except ValueError:
            sorter.tell(kind, group)
    seen = 0
    for _, *columns, cells, _ in sorter.gather(1, bytes([1]) * 8):
        at, starts, stops = (array("i", column) for column in columns[:3])
        seen += len(at)
        if any(not 0 <= start <= stop <= len(block) for start, stop in zip(starts, stops, strict=True)):
            raise OtherResultError("a line that is not in the block")
        if any(len(column) != 8 * len(at) for column in cells or ()):
            raise OtherResultError("a column of another length")
    if seen > size:
        raise OtherResultError("more lines than fragments")


def numbers(*parts: bytes) -> list[bytes]:
    """Parts of a program as `tell` takes them."""
    return [array("i", _numbers(part)).tobytes() for part in parts]


def _numbers(part: bytes) -> Iterator[int]:
    """Numbers from bytes: most of them small, as a form's are, some as large as they can be."""
    for byte in part[:MAX_NUMBERS]:
        yield byte if byte < 240 else (-1, -(2**31), 2**31 - 1, 2**31 - 2, 2000, 1024, 512, 64)[byte % 8]


def seeds() -> list[bytes]:
    """Sound logs, blocks and programs to begin with."""
    from tests.parsers.test_plain import PLAIN, mixed

    logs = [mixed(seed, 60) for seed in range(12)]
    plain = [text.encode() + b"\n" for _, text in PLAIN]
    programs = [SPLIT.join((b"\3" + line, *_sound(line))) for line in plain]
    mixed_up = [b"\0" + log for log in logs] + [b"\0" + 3 * line for line in plain] + programs
    return [mixed_up[0], *programs[:3], *(b"\2" + log for log in logs[:3]), *mixed_up[1:]]


def _sound(line: bytes) -> tuple[bytes, bytes, bytes, bytes, bytes]:
    """A program for a line: its runs of digits as whole numbers."""
    import re

    runs = [found.span() for found in re.finditer(rb"\d+", line.rstrip(b"\n"))]
    starts = [0, *(end for _, end in runs)]
    stretches = [number for at, (start, _) in enumerate(runs) for number in (min(start - starts[at], 239), 1, 0, 0)]
    kept = len(line.rstrip(b"\n")) - starts[-1]
    fields = [number for at in range(len(runs)) for number in (2, at, stretches[4 * at], at + 1, 0)]
    return bytes([*stretches, min(kept, 239), 0, 0, 0]), bytes(fields[:150]), bytes((0, 0, 0, 0, 2)), b"ab", b"\1"
