"""Feeds a file's blocks to its readers: many plain lines at once as columns, the others that hold a hint as `Line`s.

What a block's lines are is told by their skeletons (`skeletons.py`). Lines that no reader cares about are passed over. Plain
lines wait until somebody else's line concerns their reader, or the block ends, and go to it as columns then: a reader gets
what is meant for it in the order of the file. All other lines that hold a hint are searched, decoded and handed over.
"""

from __future__ import annotations

import copy
import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from operator import itemgetter
from typing import Any, Final

from parsers.by_rank import ByRank, TextReader
from parsers.layout import Cells
from parsers.line import Line, make_line
from parsers.model import Record, Row, RowKind
from parsers.plain import Part, Shape
from parsers.registry import Router
from parsers.said import Rows, Said, Ticks, take
from parsers.sieve import Sieve, is_plain
from parsers.skeletons import OPEN, SILENT, Kind, split
from parsers.source import MAX_FRAGMENT, Block
from parsers.table import holds_loss

FIRST: Final = 100
"""Fragments of a file that are sorted before the others."""
SAMPLES: Final = 16
SAMPLE: Final = 2048
SHORT: Final = 4
"""Bytes a fragment: of blocks with shorter ones on average (millions of empty lines) no list of fragments is made."""
MAX_LATE: Final = 8000
"""Bytes that are kept of a line that a reader passes over and may read at the end."""

Todo = tuple[int, Shape | None, Sequence[Any]]
"""(place, form, others' hints that may stand in it) of a plain line that is read by itself, or (place, None, hints' numbers)."""


class _Waiting:
    """The places of plain lines of one kind that their reader has not got yet."""

    __slots__ = ("at", "cursor", "kind")

    def __init__(self, kind: Kind, at: list[int]) -> None:
        self.kind = kind
        self.at = at
        self.cursor = 0


class Scanner:
    """Feeds one file's blocks to fresh readers and says what they say, in the order of the file."""

    def __init__(
        self,
        router: Router,
        file: str,
        strict: bool = False,
        rank: int | None = None,
        sieve: Sieve | None = None,
        is_by_line: bool = False,
    ) -> None:
        """`rank`: who wrote the file, where its name says so: the rank of every line that names none itself.

        `sieve`: for one of very many files, what may be passed over. `is_by_line`: every line becomes a `Line`, plain ones
        too: the same records, slower.
        """
        self._has_loss = False
        self._is_by_line = is_by_line or sieve is not None or router.reads_all(file)
        self._bound: dict[int, tuple[str, PlainRead]] = {}
        self._sieve = sieve
        self._router = router
        self._file = file
        self._strict = strict
        self._rank = rank
        self._readers: list[TextReader | None] = [None] * len(router.formats)
        self._hungry = 0
        self._masks: Sequence[int] = router.masks
        self._spent: dict[int, list[bytes]] = {}
        self._is_warm = False
        self.failures: list[tuple[str, str]] = []
        # Of the block that is read: its fragments, their lines, what was said of them, and what waits.
        self._fragments: list[bytes] = []
        self._numbers: Sequence[int] = ()
        self._said = Said(0)
        self._at = 0
        self._waiting: dict[int, list[_Waiting]] = {}
        self._eaten: list[tuple[int, int]] = []

    def feed(self, block: Block) -> Said:
        """What the fragments of this block say."""
        if self._is_by_line or _is_short(block.data):
            return Said(1, [(0, reader, record) for reader, record in self._by_line(block)])
        data, numbers = _lines(block)
        fragments = split(data)
        if len(data) == len(block.data):
            block.feeds = numbers[len(fragments) - 1] - block.line + block.data.endswith(b"\n")
        kinds = self._router.skeletons.kinds(data, fragments)
        if self._is_warm:
            return self._in_order(fragments, numbers, kinds)
        self._is_warm = True  # after a few lines many hints are spent already
        first = next((at for at in range(FIRST, len(fragments)) if fragments[at]), len(fragments))
        said = self._in_order(fragments[:first], numbers, kinds[:first])
        if len(fragments) > first:
            said.extend(self._in_order(fragments[first:], numbers[first:], kinds[first:]))
        return said

    def _in_order(self, fragments: list[bytes], numbers: Sequence[int], kinds: list[Kind]) -> Said:
        self._fragments, self._numbers, self._eaten = fragments, numbers, []
        said = self._said = Said(len(fragments))
        done = self._feed_hungry(0) if self._hungry else 0
        for at, shape, found in self._sorted(kinds):
            if at < done:
                continue
            hits = found
            if shape is not None:
                match = self._plain_match(at, shape, found)
                if match:
                    self._read_plain(at, shape, match)
                    continue
                hits = self._hits(fragments[at])
            self._read_line(at, hits)
            if self._hungry:
                done = self._feed_hungry(at + 1)
        for owner in list(self._waiting):
            self._read_waiting(owner, len(fragments))
        self._waiting = {}
        self._fragments, self._numbers, self._said = [], (), Said(0)
        said.singles.sort(key=itemgetter(0))
        return said

    def _sorted(self, kinds: list[Kind]) -> list[Todo]:
        """What is read by itself, in order; plain lines that are read as columns wait."""
        places: defaultdict[Kind, list[int]] = defaultdict(list)
        for at, kind in enumerate(kinds):
            if kind is not SILENT:
                places[kind].append(at)
        todo: list[Todo] = []
        hinted: list[int] = []
        masks = self._masks
        for kind, found in places.items():
            shape = kind.shape
            if shape is None:
                if kind is OPEN or any(masks[number] for number in kind.numbers):
                    hinted += found
                continue
            watched = self._watched(kind, shape, found)
            alone = found if kind.layout is None else self._holders(found, watched)
            todo += [(at, shape, watched) for at in alone]
            if len(alone) < len(found):
                others = found if not alone else sorted(set(found).difference(alone))
                self._waiting.setdefault(shape.owner, []).append(_Waiting(kind, others))
        if hinted:
            hinted.sort()
            todo += self._hinted([self._fragments[at] for at in hinted], hinted)
        todo.sort(key=itemgetter(0))
        return todo

    def _watched(self, kind: Kind, shape: Shape, places: Sequence[int]) -> tuple[bytes, ...]:
        """The hints of others that stand in these plain lines, and that nobody refutes for all of them."""
        masks, names = self._masks, self._router.hints
        asked = [number for number in kind.numbers if masks[number] & ~shape.quiet]
        if not asked:
            return ()
        text = b"\n".join([self._fragments[at] for at in places])
        return tuple(
            names[number]
            for number in asked
            if names[number] in text and not self._is_silent(masks[number] & ~shape.quiet, names[number], text, True)
        )

    def _holders(self, places: list[int], hints: Iterable[bytes]) -> list[int]:
        """The places of those that hold one of these hints."""
        fragments, found = self._fragments, set[int]()
        for hint in hints:
            found.update([at for at in places if hint in fragments[at]])
        return sorted(found)

    def _plain_match(self, at: int, shape: Shape, watched: Iterable[bytes]) -> re.Match[bytes] | None:
        """The match of a form, None where the line is another's too, or has not the form."""
        fragment = self._fragments[at]
        for hint in watched:
            if hint in fragment and not self._is_silent(self._masks[self._router.places[hint]] & ~shape.quiet, hint, fragment):
                return None
        return shape.pattern.match(fragment)

    def _hinted(self, fragments: list[bytes], places: list[int]) -> list[Todo]:
        """(place, None, hints' numbers) of the fragments that hold a hint which somebody still waits for."""
        hits = self._router.automaton.find(b"\n".join(fragments))
        ends, masks = list(accumulate(len(fragment) + 1 for fragment in fragments)), self._masks
        found: list[Todo] = []
        alike: dict[tuple[int, ...], list[tuple[int, int]]] = {}
        index, size, single = 0, len(hits), self._router.searchers
        while index < size:
            which = bisect_right(ends, hits[index][1])
            end, mask, numbers = ends[which], 0, []
            limit = end - 1 - len(fragments[which]) + MAX_FRAGMENT
            while index < size and hits[index][1] < end:
                hint, _, until = hits[index]
                if until <= limit:
                    mask |= masks[hint]
                    numbers.append(hint)
                index += 1
            if mask & single == mask and mask:
                alike.setdefault(tuple(numbers), []).append((places[which], which))
            elif mask:
                found.append((places[which], None, numbers))
        left = [item for numbers, lines in alike.items() for item in self._unrefuted(numbers, lines, fragments)]
        return sorted(found + left, key=itemgetter(0)) if left else found

    def _unrefuted(self, numbers: tuple[int, ...], lines: list[tuple[int, int]], fragments: list[bytes]) -> list[Todo]:
        """The lines with one set of hints, none where the reader that searches them finds nothing in all of them at once."""
        if len(lines) > 2:
            hints = [self._router.hints[number] for number in numbers if self._masks[number]]
            mask = self._masks[self._router.places[hints[0]]]
            reader: Any = self._readers[mask.bit_length() - 1] or self._begin(mask.bit_length() - 1)
            if reader.refutes_all(hints, b"\n".join([fragments[which] for _, which in lines])):
                return []
        return [(place, None, numbers) for place, _ in lines]

    def _feed_hungry(self, start: int) -> int:
        """Feeds fragments from `start` on while a reader waits for every line; the place of the first that it did not feed."""
        at = start
        self._eaten.append((start, at))
        while self._hungry and at < len(self._fragments):
            self._eaten[-1] = start, at + 1
            if not self._is_half(at):
                self._read_line(at, self._hits(self._fragments[at]))
            at += 1
        return at

    def _is_half(self, at: int) -> bool:
        r"""Whether a fragment is what stands between `\\r` and `\\n`: nothing."""
        numbers = self._numbers
        return (
            not self._fragments[at]
            and 0 < at < len(self._fragments) - 1
            and numbers[at - 1] == numbers[at] == numbers[at + 1] - 1
        )

    def _read_waiting(self, owner: int, until: int) -> None:
        """Gives a reader the plain lines before a place that wait for it."""
        ready: list[tuple[Kind, list[int]]] = []
        for waiting in self._waiting.get(owner, ()):
            stop = bisect_left(waiting.at, until, waiting.cursor)
            if stop > waiting.cursor:
                places = waiting.at[waiting.cursor : stop]
                waiting.cursor = stop
                if self._eaten:
                    places = [at for at in places if not self._is_eaten(at)]
                if places:
                    ready.append((waiting.kind, places))
        if ready and not self._read_columns(owner, ready):
            self._read_one_by_one(ready)

    def _read_losses(self, until: int) -> int:
        """Reads waiting lines that may hold a loss: fallbacks get nothing behind it. The readers (as bits) that are done then."""
        for owner, waiting in self._waiting.items():
            if any(one.kind.shape is not None and one.kind.shape.is_loss for one in waiting):
                self._read_waiting(owner, until)
        return self._router.fallbacks if self._has_loss else 0

    def _is_eaten(self, at: int) -> bool:
        """Whether a hungry reader got this line."""
        which = bisect_right(self._eaten, (at, len(self._fragments))) - 1
        return which >= 0 and self._eaten[which][0] <= at < self._eaten[which][1]

    def _read_columns(self, owner: int, ready: Sequence[tuple[Kind, list[int]]]) -> bool:
        """Whether a reader could take these lines as columns."""
        reader: Any = self._reader(owner)
        fragments, numbers = self._fragments, self._numbers
        try:
            parts = [
                Part(
                    kind.shape.method,  # type: ignore[union-attr]
                    at,
                    take(numbers, at),
                    Cells(kind.layout, take(fragments, at)),  # type: ignore[arg-type]
                )
                for kind, at in ready
            ]
            found = reader.columns(parts)
        except ValueError:
            return False
        except Exception as error:
            self._fail(owner, f"{self._file}:{numbers[ready[0][1][0]]}", error)
            return True
        if found is None:
            return False
        name = self._router.formats[owner].name
        for part in found:
            self._said.many.append((name, part))
            if isinstance(part, Rows) and not self._has_loss:
                self._note_loss(owner, part.kind, part.names)
        return True

    def _read_one_by_one(self, ready: Sequence[tuple[Kind, list[int]]]) -> None:
        for at, shape in sorted(((at, kind.shape) for kind, places in ready for at in places), key=itemgetter(0)):
            match = shape.pattern.match(self._fragments[at]) if shape else None
            if shape and match:
                self._read_plain(at, shape, match)
            else:
                self._read_line(at, self._hits(self._fragments[at]))

    def _read_plain(self, at: int, shape: Shape, found: re.Match[bytes]) -> None:
        self._read_waiting(shape.owner, at)
        number = self._numbers[at]
        name, read = self._bound.get(shape.number) or self._bind(shape)
        try:
            for record in read(number, found):
                self._add(shape.owner, at, name, record)
        except Exception as error:
            self._fail(shape.owner, f"{self._file}:{number}", error)

    def _add(self, owner: int, at: int, name: str, record: Record) -> None:
        self._said.singles.append((at, name, record))
        if not self._has_loss and isinstance(record, Row):
            self._note_loss(owner, record.kind, [name for name, _ in record.values])

    def _bind(self, shape: Shape) -> tuple[str, PlainRead]:
        """The method that reads a form's lines."""
        bound = self._router.formats[shape.owner].name, getattr(self._reader(shape.owner), shape.method)
        self._bound[shape.number] = bound
        return bound

    def _reader(self, owner: int) -> Any:
        """The reader of plain lines: the one that also gets the others."""
        reader: Any = self._readers[owner] or self._begin(owner)
        if isinstance(reader, ByRank):
            reader = reader.of(self._rank)
        if not isinstance(reader, _Mute):
            reader.file, reader.file_rank = self._file, self._rank
        return reader

    def _hits(self, fragment: bytes) -> list[int]:
        """The hints of one fragment, by their numbers."""
        return [hit[0] for hit in self._router.automaton.find(fragment[:MAX_FRAGMENT])]

    def _is_silent(self, mask: int, hint: bytes, text: bytes, is_many: bool = False) -> bool:
        """Whether the one reader that waits for a hint has nothing to say about a plain line (or about many)."""
        if not mask:  # spent meanwhile
            return True
        reader: Any = self._readers[mask.bit_length() - 1] if not mask & (mask - 1) else None
        if isinstance(reader, ByRank):
            return reader.refutes_plain((hint,), text, self._rank)
        refutes = getattr(reader, "refutes_all" if is_many else "refutes", None)
        return refutes is not None and bool(refutes((hint,), text))

    def _is_refuted(self, mask: int, hints: Iterable[bytes], fragment: bytes) -> bool:
        """Whether every reader that waits for these hints can tell from the bytes that it has nothing to say."""
        for which in self._router.indexes(mask):
            refutes = getattr(self._readers[which], "refutes", None)
            if refutes is None or not refutes(hints, fragment):
                return False
        return mask != 0

    def _read_line(self, at: int, hits: Sequence[int]) -> None:
        """Gives a fragment to the readers of its hints and to those that are hungry."""
        masks, names, mask = self._masks, self._router.hints, 0
        fragment, number = self._fragments[at], self._numbers[at]
        for hit in hits:
            mask |= masks[hit]
        if mask & self._router.fallbacks and not self._has_loss:
            mask &= ~self._read_losses(at)
        if not mask | self._hungry:
            return
        hints = tuple([names[hit] for hit in hits])
        if not self._hungry and self._is_refuted(mask, hints, fragment):
            for which in self._router.indexes(mask):
                late = getattr(self._readers[which], "late", None)
                if late is not None:
                    late.append((number, fragment[:MAX_LATE], hints, self._rank))
            return
        line = make_line(self._file, number, fragment[:MAX_FRAGMENT])
        line.hints = hints
        if line.rank is None:
            line.rank = self._rank
        for which in self._router.indexes(mask | self._hungry):
            if which in self._waiting:
                self._read_waiting(which, at)
            self._feed_one(which, at, line)

    def _feed_one(self, which: int, at: int, line: Line) -> None:
        try:
            reader = self._readers[which] or self._begin(which)
            name = self._router.formats[which].name
            for record in reader.feed(line):
                self._add(which, at, name, record)
        except Exception as error:
            self._fail(which, f"{self._file}:{line.no}", error)
            return
        if reader.hungry:
            self._hungry |= 1 << which
        elif self._hungry:
            self._hungry &= ~(1 << which)
        if self._spent and self._spent.get(which):
            self._masks = self._without_spent(which)

    def _by_line(self, block: Block) -> Iterator[tuple[str, Record]]:
        """Every fragment that holds a hint as a `Line`."""
        data = block.data
        hits = self._router.automaton.find(data)
        masks, names = self._masks, self._router.hints
        position, counted, number, index, size = 0, 0, block.line, 0, len(data)
        while position < size:
            if self._hungry:
                start = position
            else:
                while index < len(hits) and (hits[index][1] < position or not masks[hits[index][0]]):
                    index += 1
                if index == len(hits):
                    break
                start = _start(data, position, hits[index][1])
            end, after = _end(data, start)
            mask, hints = 0, []
            while index < len(hits) and hits[index][1] < end:
                hint, at, until = hits[index]
                if at >= start and until - start <= MAX_FRAGMENT:
                    mask |= masks[hint]
                    hints.append(names[hint])
                index += 1
            number += data.count(b"\n", counted, start)
            counted = start
            position = after
            shape = tuple(hints)
            sieve = None if self._hungry else self._sieve
            if sieve and sieve.passes_over(shape, data, start, end):
                continue
            if mask or self._hungry:
                said = plain = 0
                line = make_line(self._file, number, data[start : min(end, start + MAX_FRAGMENT)])
                line.hints = shape
                if line.rank is None:
                    line.rank = self._rank
                for which in self._router.indexes(mask | self._hungry):
                    try:
                        reader = self._readers[which] or self._begin(which)
                        for record in reader.feed(line):
                            if not self._has_loss and isinstance(record, Row):
                                self._note_loss(which, record.kind, [name for name, _ in record.values])
                                masks = self._masks
                            if sieve:
                                said, plain = said + 1, plain + is_plain(record)
                            yield self._router.formats[which].name, record
                    except Exception as error:
                        self._fail(which, f"{self._file}:{line.no}", error)
                    else:
                        if reader.hungry:
                            self._hungry |= 1 << which
                        elif self._hungry:
                            self._hungry &= ~(1 << which)
                        if self._spent and self._spent.get(which):
                            masks = self._masks = self._without_spent(which)
                if sieve:
                    sieve.note(shape, mask, said + bool(self._hungry), plain)
        if self._sieve:
            self._sieve.offset += size

    def close(self) -> Iterator[tuple[str, Record]]:
        """What the readers that were fed anything have left to say."""
        for index, reader in enumerate(self._readers):
            if reader is None:
                continue
            try:
                for record in reader.close():
                    yield self._router.formats[index].name, record
            except Exception as error:
                self._fail(index, self._file, error)

    def peek(self, is_over: bool) -> Iterator[tuple[str, Record]]:
        """What `close` would yield now; the readers themselves stay as they are.

        Readers in the middle of something (a stack of which more lines come) are silent unless `is_over`.
        """
        twin = copy.copy(self)
        waiting = 0 if is_over else self._hungry
        twin._readers = [
            None if reader is None or waiting >> index & 1 else copy.deepcopy(reader)
            for index, reader in enumerate(self._readers)
        ]
        twin.failures = []
        yield from twin.close()

    def _note_loss(self, index: int, kind: RowKind, names: Iterable[str]) -> None:
        """Where a reader has found a loss, the fallbacks' rows will be dropped: they need not be fed any more."""
        if not self._router.fallbacks >> index & 1 and holds_loss(kind, names):
            self._has_loss = True
            is_fresh = self._masks is self._router.masks
            self._masks = self._router.proper_masks if is_fresh else [mask & ~self._router.fallbacks for mask in self._masks]
            self._hungry &= ~self._router.fallbacks

    def _begin(self, index: int) -> TextReader:
        """A reader's first line in this file: most readers never see one."""
        reader = self._readers[index] = self._router.formats[index].make()
        spent = getattr(reader, "spent", None)
        if spent is not None:
            self._spent[index] = spent
        return reader

    def _without_spent(self, index: int) -> list[int]:
        """The masks without the hints that a reader has done with: their lines cost nothing from here on."""
        masks = list(self._masks)
        for hint in self._spent[index]:
            masks[self._router.places[hint]] &= ~(1 << index)
        self._spent[index].clear()
        return masks

    def _fail(self, index: int, place: str, error: Exception) -> None:
        """A reader of ours raised: it says nothing more about this file. Re-raises when strict."""
        if self._strict:
            raise error
        self.failures.append((self._router.formats[index].name, f"{place}: {type(error).__name__}: {error}"))
        self._readers[index] = _Mute()
        self._hungry &= ~(1 << index)
        for shape in self._router.shapes.all:
            if shape.owner == index:
                self._bound[shape.number] = "", _say_nothing


def _is_short(data: bytes) -> bool:
    """Whether a block is of very short fragments, as far as some places of it tell."""
    stride = max(SAMPLE, len(data) // SAMPLES)
    return all(
        data.count(b"\n", at, at + SAMPLE) + data.count(b"\r", at, at + SAMPLE) > min(SAMPLE, len(data) - at) // SHORT
        for at in range(0, len(data), stride)
    )


def _lines(block: Block) -> tuple[bytes, Sequence[int]]:
    r"""(a block whose fragments all end in a line feed, the number of each fragment's line).

    A fragment between `\\r` and `\\n` may be left, empty: it is passed over by `_is_half`.
    """
    data = block.data
    if b"\r" not in data:
        return data, range(block.line, block.line + len(data))
    if b"\r\n" in data[:SAMPLE]:
        data = data.replace(b"\r\n", b"\n")
    feeds = data.translate(_IS_FEED, _NO_BREAKS)
    return data.replace(b"\r", b"\n"), tuple(accumulate(feeds, initial=block.line))


_NO_BREAKS: Final = bytes(byte for byte in range(256) if byte not in b"\r\n")
_IS_FEED: Final = bytes(byte == 10 for byte in range(256))

PlainRead = Callable[[int, re.Match[bytes]], Iterable[Record]]


def _say_nothing(_: int, __: re.Match[bytes]) -> Iterable[Record]:
    return ()


class _Mute:
    """Stands for a reader that failed."""

    hungry = False

    def feed(self, _: Line, /) -> Iterable[Record]:
        """Nothing."""
        return ()

    def columns(self, _: Sequence[Part], /) -> Iterable[Rows | Ticks]:
        """Nothing."""
        return ()

    def close(self) -> Iterable[Record]:
        """Nothing."""
        return ()


def _start(data: bytes, low: int, hit: int) -> int:
    feed = data.rfind(b"\n", low, hit) + 1 or low
    return data.rfind(b"\r", feed, hit) + 1 or feed


def _end(data: bytes, start: int) -> tuple[int, int]:
    """(end of the fragment that begins at `start`, where the next one begins)."""
    feed = data.find(b"\n", start)
    stop = len(data) if feed < 0 else feed
    carriage = data.find(b"\r", start, stop)
    if carriage < 0:
        return stop, min(stop + 1, len(data))
    if carriage + 1 == feed:
        return carriage, feed + 1
    return carriage, carriage + 1
