"""Feeds a file's blocks to its readers: many plain lines at once as columns, the others that hold a hint as `Line`s.

What a block's lines are is told by their skeletons (`skeletons.py`). Lines that no reader cares about are passed over. Plain
lines wait until somebody else's line concerns their reader, or the block ends, and go to it as columns then: a reader gets
what is meant for it in the order of the file. All other lines that hold a hint are searched, decoded and handed over.
"""

from __future__ import annotations

import copy
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from functools import reduce
from itertools import accumulate
from operator import itemgetter, or_
from typing import Any, Final

from parsers.by_rank import ByRank, TextReader
from parsers.layout import Cells
from parsers.line import Line, make_line
from parsers.model import Problem, Record, Row, RowKind, SourceRef
from parsers.plain import Part, Shape
from parsers.prepare import Fragments, Group, Prepared, is_short, prepare
from parsers.registry import Router
from parsers.said import Rows, Said, Ticks, take
from parsers.sieve import Sieve, is_plain
from parsers.source import MAX_FRAGMENT, Block
from parsers.table import holds_loss
from parsers.thrift import LINE, TAIL, Last, Thrift

LONG: Final = 2**16
"""Bytes of a fragment that is long."""
FIRST: Final = (20, 100)
"""Ends of the first stretches of a file, in fragments, which are read before what follows is sorted: they spend most hints."""
BARS: Final = "progress_bar"
"""Whose the counts of bars are, whichever reader takes a bar with metrics."""
PIECES: Final = 8
"""Parts in which a block is read whose lines are mostly read one by one."""
MAX_LATE: Final = 8000
"""Bytes that are kept of a line that a reader passes over and may read at the end."""

Todo = tuple[int, Shape | None, Sequence[Any]]
"""(place, form, others' hints that may stand in it) of a plain line that is read by itself, or (place, None, hints' numbers)."""


class _Waiting:
    """Plain lines of one kind that their reader has not got yet."""

    __slots__ = ("cursor", "group", "skipped", "stop")

    def __init__(self, group: Group, cursor: int, stop: int, skipped: Set[int]) -> None:
        """Those from `cursor` to `stop` in the group wait, but those at `skipped` places."""
        self.group = group
        self.cursor = cursor
        self.stop = stop
        self.skipped = skipped


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
        self.is_by_line = is_by_line or sieve is not None or router.reads_all(file)
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
        self._thrift = Thrift()
        self._passed: set[int] | None = None
        self.failures: list[tuple[str, str]] = []
        # Of the block that is read: its fragments, what was said of them, and what waits.
        self._fragments = Fragments(Block(b"", 1))
        self._texts: dict[int, bytes] = {}
        self._size = 0
        self._said = Said(0)
        self._waiting: dict[int, list[_Waiting]] = {}
        self._eaten: list[tuple[int, int]] = []

    def feed(self, block: Block) -> Said:
        """What the fragments of this block say."""
        if self.is_by_line or is_short(block.data):
            return Said(1, [(0, reader, record) for reader, record in self._by_line(block)])
        fragments = Fragments(block)
        return self.take(fragments, prepare(self._router, fragments, self._masks))

    @property
    def masks(self) -> Sequence[int]:
        """Who waits for each hint."""
        return self._masks

    def take(self, fragments: Fragments, prepared: Prepared) -> Said:
        """What the fragments of a block say that was prepared already."""
        self._fragments, self._texts, self._size = fragments, prepared.texts, prepared.size
        said = self._said = Said(prepared.size)
        self._eaten = []
        first = 0
        if not self._is_warm:
            self._is_warm = True  # after a few lines many hints are spent already
            for stop in FIRST:
                if first < prepared.size:
                    self._read(prepared, first, min(stop, prepared.size), stop < prepared.size)
                    first = min(stop, prepared.size)
        self._read_on(prepared, first)
        self._fragments, self._texts, self._said = Fragments(Block(b"", 1)), {}, Said(0)
        said.singles.sort(key=itemgetter(0))
        return said

    def _read_on(self, prepared: Prepared, start: int) -> None:
        """Reads a block from a place on: whole, or in part from where on that costs too much."""
        size = prepared.size
        is_costly = sum(len(others.at) for others in prepared.others) > size // 2
        step = -(-(size - start) // PIECES) if is_costly else size
        while start < size and not self._thrift.is_on:
            self._read(prepared, start, min(start + step, size))
            start += step
        if start < size:
            self._read_in_part(prepared, start)

    def _read_in_part(self, prepared: Prepared, start: int) -> None:
        """Reads the beginning of the rest of a block, and of what is behind it what is in columns or says something new."""
        whole = start + self._thrift.whole(prepared.size - start, len(self._fragments.block.data))
        self._read(prepared, start, min(whole, prepared.size))
        if whole >= prepared.size:
            return
        self._leave_off(whole)
        self._passed = set()
        self._read(prepared, whole, prepared.size)
        self._leave_off(prepared.size - 1)
        if self._passed:
            self._thrift.remember(self._tail(prepared, self._passed))
        self._passed = None

    def _leave_off(self, at: int) -> None:
        """Nobody gets the next lines: what a reader is in the middle of ends here."""
        for which in self._router.indexes(self._hungry):
            gap = getattr(self._readers[which], "gap", None)
            try:
                for record in gap() if gap else ():
                    self._add(which, at, self._router.formats[which].name, record)
            except Exception as error:
                self._fail(which, f"{self._file}:{self._fragments.numbers[at]}", error)
        self._hungry = 0

    def _tail(self, prepared: Prepared, passed: Set[int]) -> list[Last]:
        """The last lines of a block, empty where they were read."""
        first = max(0, prepared.size - TAIL)
        concerned = [group.at for group in prepared.groups] + [others.at for others in prepared.others]
        read = {at for places in concerned for at in places[bisect_left(places, first) :]} - passed
        numbers = self._fragments.numbers
        lines = range(first, prepared.size)
        texts = [b"" if at in read or self._is_eaten(at) else self._text(at)[:MAX_LATE] for at in lines]
        return [(numbers[at], text, at in passed) for at, text in zip(lines, texts, strict=True)]

    def _new(self, places: Sequence[int]) -> Sequence[int]:
        """Those of these places that are read although the budget is spent."""
        if self._passed is None or not places:
            return places
        kept = self._thrift.kept(places, self._texts_at(places), self._fragments.numbers)
        if len(kept) < len(places):
            self._passed.update(places)
            self._passed.difference_update(kept)
        return kept

    def _read(self, prepared: Prepared, start: int, stop: int, goes_on: bool = False) -> None:
        """Reads the fragments from `start` to `stop`; if it goes on behind them, plain ones may wait for those that follow."""
        done = self._feed_hungry(start, stop) if self._hungry else start
        for at, shape, found in self._sorted(prepared, start, stop):
            if at < done:
                continue
            hits = found
            if shape is not None:
                match = self._plain_match(at, shape, found)
                if match:
                    self._read_plain(at, shape, match)
                    continue
                hits = self._hits(self._text(at))
            self._read_line(at, hits)
            if self._hungry:
                done = self._feed_hungry(at + 1, stop)
        if goes_on:
            if not self._has_loss:  # with one there are fewer readers that wait for what follows
                self._read_losses(stop)
            return
        for owner in list(self._waiting):
            self._read_waiting(owner, stop)
        self._waiting = {}

    def _text(self, at: int) -> bytes:
        """A fragment of the block."""
        text = self._texts.get(at)
        return self._fragments.text(at) if text is None else text

    def _sorted(self, prepared: Prepared, start: int, stop: int) -> list[Todo]:
        """What is read by itself, in order; plain lines that are read as columns wait."""
        todo: list[Todo] = []
        hinted: list[int] = []
        masks, shapes = self._masks, self._router.shapes.all
        for group in prepared.groups:
            low, high = _between(group.at, start, stop)
            if low == high:
                continue
            shape, places = shapes[group.shape], group.at[low:high]
            if group.cells is None:
                watched = self._watched(group, shape, places := self._new(places))
                todo += [(at, shape, watched) for at in places]
                continue
            watched = self._watched(group, shape, places) if self._passed is None else ()
            alone = self._holders(places, watched)
            todo += [(at, shape, watched) for at in alone]
            if len(alone) < len(places):
                self._wait(shape.owner, group, low, high, alone)
        for numbers, places, lines in prepared.others:
            if numbers is None or any(map(masks.__getitem__, numbers)):
                low, high = _between(places, start, stop)
                hinted += places[low:high]
                if lines is not None and low < high:
                    self._texts.update(zip(places[low:high], lines.texts(self._fragments.block.data, low, high), strict=True))
        if hinted:
            hinted = list(self._new(sorted(hinted)))
        if hinted:
            todo += self._hinted(self._texts_at(hinted), hinted)
        todo.sort(key=itemgetter(0))
        return todo

    def _wait(self, owner: int, group: Group, low: int, high: int, alone: Sequence[int]) -> None:
        """Lets the lines of a group from `low` to `high` wait, but those that are read alone."""
        several = self._waiting.setdefault(owner, [])
        for waiting in several:
            if waiting.group is group and waiting.stop == low:
                waiting.stop, waiting.skipped = high, waiting.skipped | frozenset(alone)
                return
        several.append(_Waiting(group, low, high, frozenset(alone)))

    def _watched(self, group: Group, shape: Shape, places: Sequence[int]) -> tuple[bytes, ...]:
        """The hints of others that stand in these plain lines, and that nobody refutes for all of them."""
        masks, names = self._masks, self._router.hints
        asked = [number for number in group.numbers if (mask := masks[number] & ~shape.quiet) and not self._is_sated(mask)]
        if not asked:
            return ()
        text = b"\n".join(self._texts_at(places))
        return tuple(
            names[number]
            for number in asked
            if names[number] in text and not self._is_silent(masks[number] & ~shape.quiet, names[number], text, True)
        )

    def _is_sated(self, mask: int) -> bool:
        """Whether the one reader with a memory for each rank has nothing to say about plain lines, whatever they hold."""
        reader: Any = self._readers[mask.bit_length() - 1] if not mask & (mask - 1) else None
        return isinstance(reader, ByRank) and reader.refutes_plain((), b"", self._rank)

    def _texts_at(self, places: Sequence[int]) -> Sequence[bytes]:
        """Several fragments of the block."""
        is_made = not self._texts and not self._fragments.sorted
        return take(self._fragments.texts, places) if is_made else [self._text(at) for at in places]

    def _holders(self, places: Sequence[int], hints: Sequence[bytes]) -> list[int]:
        """The places of those that hold one of these hints."""
        found: set[int] = set()
        texts = self._texts_at(places) if hints else ()
        for hint in hints:
            found.update([at for at, text in zip(places, texts, strict=True) if hint in text])
        return sorted(found)

    def _plain_match(self, at: int, shape: Shape, watched: Iterable[bytes]) -> re.Match[bytes] | None:
        """The match of a form, None where the line is another's too, or has not the form."""
        fragment = self._text(at)
        for hint in watched:
            if hint in fragment and not self._is_silent(self._masks[self._router.places[hint]] & ~shape.quiet, hint, fragment):
                return None
        return None if shape.is_learned else shape.pattern.match(fragment)

    def _hinted(self, fragments: Sequence[bytes], places: list[int]) -> list[Todo]:
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
            if end + MAX_FRAGMENT - limit > LONG:  # each hint once: there may be a hundred thousand
                after = bisect_left(hits, end, index, key=itemgetter(1))
                numbers = list(dict.fromkeys(hit[0] for hit in hits[index:after] if hit[2] <= limit))
                mask, index = reduce(or_, map(masks.__getitem__, numbers), 0), after
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

    def _unrefuted(self, numbers: tuple[int, ...], lines: list[tuple[int, int]], fragments: Sequence[bytes]) -> list[Todo]:
        """The lines with one set of hints, none where the reader that searches them finds nothing in all of them at once."""
        if len(lines) > 2:
            hints = [self._router.hints[number] for number in numbers if self._masks[number]]
            mask = self._masks[self._router.places[hints[0]]]
            reader: Any = self._readers[mask.bit_length() - 1] or self._begin(mask.bit_length() - 1)
            if reader.refutes_all(hints, b"\n".join([fragments[which] for _, which in lines])):
                return []
        return [(place, None, numbers) for place, _ in lines]

    def _feed_hungry(self, start: int, stop: int) -> int:
        """Feeds fragments from `start` on while a reader waits for every line; the place of the first that it did not feed."""
        at = start
        if self._passed is not None:
            stop = min(stop, start + self._thrift.waits())
        self._eaten.append((start, at))
        while self._hungry and at < stop:
            self._eaten[-1] = start, at + 1
            if not self._fragments.is_half(at):
                self._read_line(at, self._hits(self._text(at)))
            at += 1
        if self._passed is not None:
            self._thrift.waited += at - start
            self._leave_off(at - 1)
        return at

    def _read_waiting(self, owner: int, until: int) -> None:
        """Gives a reader the plain lines before a place that wait for it."""
        ready: list[tuple[Group, slice | list[int]]] = []
        for waiting in self._waiting.get(owner, ()):
            group, low = waiting.group, waiting.cursor
            high = waiting.cursor = bisect_left(group.at, until, low, waiting.stop)
            if high == low:
                continue
            if waiting.skipped or self._eaten:
                places, skipped = group.at, waiting.skipped
                quiet = max(self._eaten[-1][1] if self._eaten else 0, 1 + max(skipped, default=-1))
                behind = bisect_left(places, quiet, low, high)
                chosen = [k for k in range(low, behind) if places[k] not in skipped and not self._is_eaten(places[k])]
                chosen += range(behind, high)
                if chosen:
                    ready.append((group, chosen))
            else:
                ready.append((group, slice(low, high)))
        if ready and not self._read_columns(owner, ready):
            self._read_one_by_one([(at, group.shape) for group, chosen in ready for at in _some(group.at, chosen)])

    def _read_losses(self, until: int) -> int:
        """Reads waiting lines that may hold a loss: fallbacks get nothing behind it. The readers (as bits) that are done then."""
        shapes = self._router.shapes.all
        for owner, waiting in self._waiting.items():
            if any(shapes[one.group.shape].is_loss for one in waiting):
                self._read_waiting(owner, until)
        return self._router.fallbacks if self._has_loss else 0

    def _is_eaten(self, at: int) -> bool:
        """Whether a hungry reader got this line."""
        which = bisect_right(self._eaten, (at, self._size)) - 1
        return which >= 0 and self._eaten[which][0] <= at < self._eaten[which][1]

    def _read_columns(self, owner: int, ready: Sequence[tuple[Group, slice | list[int]]]) -> bool:
        """Whether a reader could take these lines as columns."""
        reader: Any = self._reader(owner)
        shapes = self._router.shapes.all
        try:
            parts = [
                _part(group, chosen, group.cells, shapes[group.shape].method)
                for group, chosen in ready
                if group.cells is not None
            ]
            found = reader.columns(parts)
        except ValueError:
            return False
        except Exception as error:
            self._fail(owner, f"{self._file}:{parts[0].lines[0]}", error)
            return True
        if found is None:
            return False
        name = self._router.formats[owner].name
        for part in found:
            self._said.many.append((name if isinstance(part, Rows) else BARS, part))
            if isinstance(part, Rows) and not self._has_loss:
                self._note_loss(owner, part.kind, part.names)
        return True

    def _read_one_by_one(self, lines: Iterable[tuple[int, int]]) -> None:
        """Reads plain lines, as (place, number of their form)."""
        shapes = self._router.shapes.all
        chosen = dict(lines)
        for at in self._new(sorted(chosen)):
            number = chosen[at]
            if shapes[number].is_learned:
                self._read_learned(at)
                continue
            match = shapes[number].pattern.match(self._text(at))
            if match:
                self._read_plain(at, shapes[number], match)
            else:
                self._read_line(at, self._hits(self._text(at)))

    def _read_learned(self, at: int) -> None:
        """Gives a line of a learned form to the readers of its hints, but to none that waits for every line."""
        hits = self._hits(self._text(at))
        mask = reduce(or_, map(self._masks.__getitem__, hits), 0)
        line = self._line(at, hits)
        self._thrift.spent += len(self._text(at)) + LINE * mask.bit_count()
        for which in self._router.indexes(mask):
            self._feed_one(which, at, line)

    def _line(self, at: int, hits: Sequence[int]) -> Line:
        line = make_line(self._file, self._fragments.number(at), self._text(at)[:MAX_FRAGMENT])
        line.hints = tuple([self._router.hints[hit] for hit in hits])
        if line.rank is None:
            line.rank = self._rank
        return line

    def _read_plain(self, at: int, shape: Shape, found: re.Match[bytes]) -> None:
        self._read_waiting(shape.owner, at)
        self._thrift.spent += found.end() + LINE
        number = self._fragments.number(at)
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
        hits = self._router.automaton.find(fragment[:MAX_FRAGMENT])
        return list(dict.fromkeys(map(itemgetter(0), hits))) if len(fragment) > LONG else [hit[0] for hit in hits]

    def _is_silent(self, mask: int, hint: bytes, text: bytes, is_many: bool = False) -> bool:
        """Whether all readers that wait for a hint have nothing to say about a plain line (or about many)."""
        return all(self._says_nothing(which, hint, text, is_many) for which in self._router.indexes(mask))

    def _says_nothing(self, which: int, hint: bytes, text: bytes, is_many: bool) -> bool:
        reader: Any = self._readers[which]
        if reader is None and self._router.searchers >> which & 1:
            reader = self._begin(which)
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
        for hit in hits:
            mask |= masks[hit]
        if mask & self._router.fallbacks and not self._has_loss:
            mask &= ~self._read_losses(at)
        if not mask | self._hungry:
            return
        fragment = self._text(at)
        self._thrift.spent += len(fragment) + LINE * (mask | self._hungry).bit_count()
        hints = tuple([names[hit] for hit in hits])
        if not self._hungry and self._is_refuted(mask, hints, fragment):
            for which in self._router.indexes(mask):
                late = getattr(self._readers[which], "late", None)
                if late is not None:
                    late.append((self._fragments.number(at), fragment[:MAX_LATE], hints, self._rank))
            return
        line = self._line(at, hits)
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
        """What the readers that were fed anything have left to say; the last lines that were passed over are read before."""
        if self._thrift.passed:
            yield from self._last()
        for index, reader in enumerate(self._readers):
            if reader is None:
                continue
            try:
                for record in reader.close():
                    yield self._router.formats[index].name, record
            except Exception as error:
                self._fail(index, self._file, error)

    def _last(self) -> Iterator[tuple[str, Record]]:
        tail, self._thrift.spent = self._thrift.tail(), 0
        if tail is not None:
            yield from self.feed(tail)
        if self._thrift.passed:
            yield "source", Problem(SourceRef(self._file, self._thrift.first), "source", self._thrift.note())

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
        twin.failures, twin._bound, twin._thrift = [], {}, copy.copy(self._thrift)
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


def _between(places: Sequence[int], start: int, stop: int) -> tuple[int, int]:
    """(low, high): where the places from `start` to `stop` are among these."""
    low = bisect_left(places, start) if start else 0
    return low, bisect_left(places, stop, low)


def _some(items: Sequence[int], chosen: slice | Sequence[int]) -> Sequence[int]:
    return items[chosen] if isinstance(chosen, slice) else [items[place] for place in chosen]


def _part(group: Group, chosen: slice | Sequence[int], cells: Cells, method: str) -> Part:
    if chosen == slice(0, len(group.at)):  # mostly all of them: nothing is copied
        return Part(method, group.at, group.lines, cells)
    return Part(method, _some(group.at, chosen), _some(group.lines, chosen), cells.part(chosen))


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
