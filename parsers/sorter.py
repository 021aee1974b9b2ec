"""The lines of a block sorted by the extension (`_lines.c`), with what Python learns of each new skeleton.

Without the extension `prepare.py` does the same with lists.
"""

from __future__ import annotations

import os
import re
from array import array
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import accumulate
from threading import Lock
from typing import Final, NamedTuple

from parsers.forms import Form, form_of, has_digits
from parsers.layout import Cells
from parsers.native import Sorter as Native
from parsers.skeletons import MANY, MAX_KEPT, OPEN, SILENT, Kind, Skeletons

SAMPLE: Final = 2048
"""Bytes of a block by which its line breaks are told."""


class Lines(NamedTuple):
    """Lines of one kind: their places among the fragments, the numbers of the lines, and their fields if they have columns.

    `is_bare`: lines with columns in which no hint with digits stands.
    """

    kind: Kind
    at: array[int]
    numbers: array[int]
    starts: Sequence[int]
    stops: Sequence[int]
    cells: Cells | None
    is_bare: bool

    def texts(self, data: bytes, low: int = 0, high: int | None = None) -> list[bytes]:
        """The fragments of the block, or of some of them from one to another."""
        starts, stops = (self.starts[low:high], self.stops[low:high]) if low or high is not None else (self.starts, self.stops)
        return [data[start:stop] for start, stop in zip(starts, stops, strict=True)]

    def text(self, data: bytes, index: int) -> bytes:
        """One of them."""
        return data[self.starts[index] : self.stops[index]]


class Sorter:
    """The kinds of lines of a set of readers, and blocks sorted by them."""

    def __init__(self, skeletons: Skeletons, make: Callable[[int, int], Native]) -> None:
        self._skeletons = skeletons
        seed, key = (int.from_bytes(os.urandom(8), "little") for _ in range(2))
        self._own = make(seed, key)
        self._kinds: list[Kind] = []
        self._groups: dict[Kind, int] = {}
        self._is_busy = Lock()

    def sort(self, data: bytes, number: int, masks: Sequence[int]) -> tuple[int, int, list[Lines]] | None:
        """(fragments, line feeds, the lines that may concern somebody) of a block; None while it sorts another one.

        `number`: of its first line; `masks`: see `prepare`. Who finds it busy (another thread, a signal's handler in the
        middle of it) sorts without it and does not wait: that would be for ever in a handler.
        """
        if not self._is_busy.acquire(blocking=False):
            return None
        try:
            self._skeletons.seen += len(data)
            size, feeds, first, fresh = self._own.sort(data, b"\r\n" in data[:SAMPLE])
            if fresh:
                self._learn(first, fresh)
            found = self._lines(number, masks)
            kinds, kept = self._own.size()
            if kinds > MANY or kept > MAX_KEPT:
                self._forget()
            return size, feeds, found
        except BaseException:  # a time-out may come anywhere, and kinds that are known but not learned would be silent
            self._forget()
            raise
        finally:
            self._is_busy.release()

    def _forget(self) -> None:
        self._own.forget()
        self._kinds.clear()
        self._groups.clear()
        self._skeletons.part()

    def _lines(self, number: int, masks: Sequence[int]) -> list[Lines]:
        wanted = bytes([kind.shape is not None or any(map(masks.__getitem__, kind.numbers)) for kind in self._kinds])
        found: list[Lines] = []
        for group, places, starts, stops, lines, columns, is_bare in self._own.gather(number, wanted):
            at, numbers = array("i", places), array("q", lines)
            kind = self._kinds[group] if group >= 0 else OPEN
            form = kind.layout
            cells = form.cells(columns) if columns is not None and isinstance(form, Form) else None
            found.append(Lines(kind, at, numbers, array("i", starts), array("i", stops), cells, is_bare))
        return found

    def _learn(self, first: int, fresh: bytes) -> None:
        """Says what the lines of new skeletons are; those that nothing is said of are silent."""
        texts = fresh.split(b"\n")
        ends = list(accumulate(len(text) + 1 for text in texts[:-1]))
        for at, numbers in self._skeletons.hinted(fresh, ends).items():
            line = self._own.line(first + at)
            kind = self._skeletons.kind(texts[at], numbers, line, self._formed)
            if kind is not SILENT:
                form = kind.layout
                group = self._group(self._skeletons.one(kind))
                if isinstance(form, Form):
                    self._own.tell(first + at, group, form.stretches, form.fields, form.watches, form.texts)
                else:
                    self._own.tell(first + at, group)

    def _formed(self, kind: Kind, line: bytes, found: re.Match[bytes]) -> Kind:
        """A kind with its form. Hints without digits stand in all of its lines or in none; the others are watched for."""
        hints = self._skeletons.hints
        if kind.shape is not None and kind.shape.is_columnar:
            with suppress(ValueError):
                kind.layout = form_of(line, found, kind.shape.pairs, [hints[n] for n in kind.numbers if has_digits(hints[n])])
                kind.numbers = tuple(n for n in kind.numbers if has_digits(hints[n]) or hints[n] in line)
        return kind

    def _group(self, kind: Kind) -> int:
        known = self._groups.get(kind)
        if known is None:
            known = self._groups[kind] = len(self._kinds)
            self._kinds.append(kind)
        return known
