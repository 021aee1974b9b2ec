"""What of a block can be said without what came before it: which lines are plain, with their fields as columns, and which
may concern a reader. It needs no reader, so that several processes can do it for several blocks at once (`ahead.py`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from itertools import accumulate
from typing import Final, NamedTuple

from parsers.automaton import Automaton
from parsers.forms import has_digits
from parsers.layout import Cells, Layout
from parsers.registry import Router
from parsers.said import take
from parsers.skeletons import OPEN, SILENT, Kind, Skeletons, split
from parsers.sorter import Lines
from parsers.source import Block

QUIET: Final = 0.2
"""Share of lines with a hint below which the next block is searched for hints before anything else is done with its lines."""
SHORT: Final = 4
"""Bytes a fragment: of blocks with shorter ones on average (millions of empty lines) no list of fragments is made."""
PATIENCE: Final = 20_000
"""Groups of lines in which single ones are looked for; beyond, making all fragments of the block costs less."""
SAMPLES: Final = 16
SAMPLE: Final = 2048
"""Places of a block, and bytes of each, by which that is told."""

_NO_BREAKS: Final = bytes(byte for byte in range(256) if byte not in b"\r\n")
_IS_FEED: Final = bytes(byte == 10 for byte in range(256))


class Group(NamedTuple):
    """Plain lines of one form and layout: `at` their places among the fragments, `lines` their numbers, `cells` their fields.

    `cells` is None where they must be read one by one. `numbers`: the hints of other readers that stand in some of them.
    """

    shape: int
    at: Sequence[int]
    lines: Sequence[int]
    cells: Cells | None
    numbers: tuple[int, ...]


class Others(NamedTuple):
    """Lines that may concern a reader: the hints that may stand in them (None: any), their places, what the extension found."""

    numbers: tuple[int, ...] | None
    at: Sequence[int]
    lines: Lines | None = None


class Prepared(NamedTuple):
    """A block of `size` fragments: its plain lines and the others.

    `texts`: the fragments of `others`, by their places, where they were made.
    """

    size: int
    groups: list[Group]
    others: list[Others]
    texts: dict[int, bytes]


class Fragments:
    r"""The fragments of a block and the numbers of their lines, made when they are first asked for.

    A fragment between `\r` and `\n` may be left, empty: see `is_half`.
    """

    def __init__(self, block: Block) -> None:
        self.block = block
        self.sorted: Sequence[Lines] = ()
        """What the extension found, where one text or number can be told without making all of them."""
        self._looked = 0
        self._last: tuple[int, tuple[Lines, int] | None] = -1, None
        self._texts: list[bytes] | None = None
        self._numbers: Sequence[int] = ()

    def made(self) -> tuple[bytes, list[bytes], Sequence[int]]:
        """(the block with line feeds only, its fragments, the numbers of their lines)."""
        block = self.block
        data, self._numbers = _lines(block)
        self._texts = split(data)
        if len(data) == len(block.data):
            block.feeds = self._numbers[len(self._texts) - 1] - block.line + block.data.endswith(b"\n")
        return data, self._texts, self._numbers

    @property
    def texts(self) -> list[bytes]:
        """The fragments, without their breaks."""
        return self._texts if self._texts is not None else self.made()[1]

    @property
    def numbers(self) -> Sequence[int]:
        """The numbers of their lines."""
        if self._texts is None:
            self.made()
        return self._numbers

    def text(self, at: int) -> bytes:
        """One of them."""
        found = self._place(at)
        return found[0].text(self.block.data, found[1]) if found else self.texts[at]

    def number(self, at: int) -> int:
        """The number of its line."""
        found = self._place(at)
        return found[0].numbers[found[1]] if found else self.numbers[at]

    def _place(self, at: int) -> tuple[Lines, int] | None:
        if self._texts is not None or self._looked > PATIENCE:
            return None
        if self._last[0] != at:  # who asks for a text mostly asks for its number too
            self._last = at, self._found(at)
        return self._last[1]

    def _found(self, at: int) -> tuple[Lines, int] | None:
        self._looked += len(self.sorted)
        for lines in self.sorted:
            places = lines.at
            index = bisect_left(places, at)
            if index < len(places) and places[index] == at:
                return lines, index
        return None

    def is_half(self, at: int) -> bool:
        r"""Whether a fragment is what stands between `\r` and `\n`: nothing."""
        numbers = self.numbers
        return not self.texts[at] and 0 < at < len(self.texts) - 1 and numbers[at - 1] == numbers[at] == numbers[at + 1] - 1


def is_short(data: bytes) -> bool:
    """Whether a block is of very short fragments, as far as some places of it tell."""
    stride = max(SAMPLE, len(data) // SAMPLES)
    return all(
        data.count(b"\n", at, at + SAMPLE) + data.count(b"\r", at, at + SAMPLE) > min(SAMPLE, len(data) - at) // SHORT
        for at in range(0, len(data), stride)
    )


def prepare(router: Router, fragments: Fragments, masks: Sequence[int]) -> Prepared:
    """Sorts the fragments of a block. `masks`: who waits for each hint (see `Router.masks`)."""
    skeletons, sorter = router.skeletons, router.sorter
    block, found = fragments.block, None
    sorting = sorter.sort(block.data, block.line, masks) if sorter is not None else None
    if sorting is not None:
        size, block.feeds, fragments.sorted = sorting
        return _by_extension(skeletons, fragments, size, masks)
    if skeletons.is_quiet and b"\r" not in block.data:
        found = _search(block, router.automaton)
    if found is None:
        data, texts, numbers = fragments.made()
        made, skeletons.is_quiet = _sorted(skeletons, data, texts, numbers, None, masks)
        return made._replace(size=len(texts))
    chosen, places, size = found
    skeletons.is_quiet = len(chosen) < QUIET * size
    if not chosen:
        return Prepared(size, [], [], {})
    numbers = [block.line + place for place in places]
    made, _ = _sorted(skeletons, b"\n".join(chosen) + b"\n", chosen, numbers, places, masks)
    return made._replace(size=size)


def _by_extension(skeletons: Skeletons, fragments: Fragments, size: int, masks: Sequence[int]) -> Prepared:
    data, made = fragments.block.data, Prepared(size, [], [], {})
    for lines in fragments.sorted:
        shape, numbers = lines.kind.shape, lines.kind.numbers
        if shape is None:
            made.others.append(Others(None if lines.kind is OPEN else numbers, lines.at, lines))
            continue
        asked = tuple(number for number in numbers if masks[number] & ~shape.quiet)
        if lines.is_bare:  # hints with digits do not stand in them, the others do
            asked = tuple(number for number in asked if not has_digits(skeletons.hints[number]))
        elif asked:
            asked = _present(skeletons, asked, lines.texts(data))
        cells = lines.cells
        if cells is None and shape.is_learned:
            cells = _cells_again(lines.kind, lines.texts(data))
        made.groups.append(Group(shape.number, lines.at, lines.numbers, cells, asked))
    return made


def _present(skeletons: Skeletons, asked: Sequence[int], texts: Sequence[bytes]) -> tuple[int, ...]:
    """Those of these hints that stand in some of the texts."""
    text = b"\n".join(texts) if asked else b""
    return tuple(number for number in asked if skeletons.hints[number] in text)


def _sorted(
    skeletons: Skeletons, data: bytes, texts: Sequence[bytes], numbers: Sequence[int], places: Sequence[int] | None,
    masks: Sequence[int],
) -> tuple[Prepared, bool]:  # fmt: skip
    """(what is made of lines, whether few can hold a hint). `texts` are those of `data`; `places`: where, if not one by one."""
    of_kind: defaultdict[Kind, list[int]] = defaultdict(list)
    for index, kind in enumerate(skeletons.kinds(data, texts)):
        if kind is not SILENT:
            of_kind[kind].append(index)
    made = Prepared(0, [], [], {})
    for kind, chosen in of_kind.items():
        at = chosen if places is None else list(take(places, chosen))
        if kind.shape is not None:
            group = _group(skeletons, kind, at, take(texts, chosen), take(numbers, chosen), masks)
            made.groups.append(group)
            if group.numbers and places is not None:
                made.texts.update(zip(at, take(texts, chosen), strict=True))
        elif kind is OPEN or any(masks[number] for number in kind.numbers):
            made.others.append(Others(None if kind is OPEN else kind.numbers, at))
            if places is not None:
                made.texts.update(zip(at, take(texts, chosen), strict=True))
    return made, sum(map(len, of_kind.values())) < QUIET * len(texts)


def _search(block: Block, automaton: Automaton) -> tuple[list[bytes], list[int], int] | None:
    """(the lines of a block that hold a hint, their places, how many lines there are)."""
    data, texts, places = block.data, list[bytes](), list[int]()
    end, line = 0, 0
    for start in automaton.starts(data):
        if start < end:
            continue
        begin = data.rfind(b"\n", end, start) + 1 or end
        line += data.count(b"\n", end, begin)
        stop = data.find(b"\n", start)
        stop = len(data) if stop < 0 else stop
        texts.append(data[begin:stop])
        places.append(line)
        end, line = stop + 1, line + 1
    feeds = line + data.count(b"\n", end)
    block.feeds = feeds if end <= len(data) else feeds - 1
    return texts, places, block.feeds + (not data.endswith(b"\n"))


def _group(
    skeletons: Skeletons, kind: Kind, at: Sequence[int], texts: Sequence[bytes], lines: Sequence[int], masks: Sequence[int]
) -> Group:
    quiet = kind.shape.quiet if kind.shape else 0
    present = _present(skeletons, [number for number in kind.numbers if masks[number] & ~quiet], texts)
    try:
        cells = Cells.of(kind.layout, texts) if isinstance(kind.layout, Layout) else None
    except ValueError:
        found = relearned(kind, texts[-1], texts)
        kind.layout, cells = found or (kind.layout, None)
    return Group(kind.shape.number if kind.shape else -1, at, lines, cells, present)


def relearned(kind: Kind, line: bytes, texts: Sequence[bytes]) -> tuple[Layout, Cells] | None:
    """The fields of lines of a learned form whose words that must stay are others by now (another plan, another rank)."""
    if kind.shape is None or not kind.shape.is_learned or (found := kind.shape.pattern.again(line)) is None:
        return None
    try:
        layout = Layout(line.rstrip(), found, None)
        return layout, Cells.of(layout, texts)
    except ValueError:
        return None


def _cells_again(kind: Kind, texts: Sequence[bytes]) -> Cells | None:
    """The fields of lines that the extension could not read by their learned form."""
    if kind.again is not None:
        with suppress(ValueError):
            return Cells.of(kind.again, texts)
    found = relearned(kind, texts[-1], texts)
    if found is not None:
        kind.again = found[0]
    return found and found[1]


def _lines(block: Block) -> tuple[bytes, Sequence[int]]:
    """(a block whose fragments all end in a line feed, the number of each fragment's line)."""
    data = block.data
    if b"\r" not in data:
        return data, range(block.line, block.line + len(data))
    if b"\r\n" in data[:SAMPLE]:
        data = data.replace(b"\r\n", b"\n")
    feeds = data.translate(_IS_FEED, _NO_BREAKS)
    return data.replace(b"\r", b"\n"), tuple(accumulate(feeds, initial=block.line))
