"""Pickles of plain data without unpickling: dict, list, tuple, str, int, float, bool and None, and nothing that runs code.

A pickle is a program, and `pickle.loads` of a file that somebody sent runs it. This reader knows the opcodes by which plain
values are built (protocols 2 to 5) and refuses every other one: no classes, no calls, no persistent ids. It is bounded:
what a file may cost is in proportion to its size.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final

MAX_BYTES: Final = 64 * 2**20
MAX_DEPTH: Final = 64
"""Open marks: nesting of the data."""

Plain = Any
"""None, bool, int, float, str, or a list, tuple or dict of such; dict keys are str or int."""


class NotPlainError(ValueError):
    """A pickle holds something else than plain data, or is damaged."""


def load(data: bytes) -> Plain:
    """The value that a pickle of plain data holds. Raises NotPlainError for anything else."""
    if len(data) > MAX_BYTES:
        raise NotPlainError(f"larger than {MAX_BYTES >> 20} MB")
    try:
        return _Machine(data).run()
    except (IndexError, KeyError, struct.error, UnicodeDecodeError, TypeError, AttributeError) as error:
        raise NotPlainError(f"damaged ({type(error).__name__})") from None


class _Machine:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.stack: list[Plain] = []
        self.marks: list[int] = []
        self.memo: dict[int, Plain] = {}

    def run(self) -> Plain:
        while True:
            code = self.data[self.at]
            self.at += 1
            if code == 0x2E:  # STOP
                return self.stack.pop()
            action = _ACTIONS.get(code)
            if action is None:
                raise NotPlainError(f"opcode 0x{code:02x} at byte {self.at - 1} builds no plain value")
            action(self)

    def take(self, size: int) -> bytes:
        if size < 0 or size > len(self.data) - self.at:
            raise NotPlainError("cut off")
        self.at += size
        return self.data[self.at - size : self.at]

    def skip(self, size: int) -> None:
        self.take(size)

    def number(self, form: str) -> int:
        value: int = struct.unpack(form, self.take(struct.calcsize(form)))[0]
        return value

    def mark(self) -> None:
        if len(self.marks) >= MAX_DEPTH:
            raise NotPlainError("nested too deeply")
        self.marks.append(len(self.stack))

    def since_mark(self) -> list[Plain]:
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def tuple(self, size: int) -> None:
        if size > len(self.stack):
            raise NotPlainError("damaged")
        items = tuple(self.stack[len(self.stack) - size :])
        del self.stack[len(self.stack) - size :]
        self.stack.append(items)

    def set_items(self, items: list[Plain]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict) or len(items) % 2:
            raise NotPlainError("damaged")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, str | int):  # a nested tuple could take forever to hash
                raise NotPlainError(f"a {type(key).__name__} as a key")
            target[key] = value

    def extend(self, items: list[Plain]) -> None:
        target = self.stack[-1]
        if not isinstance(target, list):
            raise NotPlainError("damaged")
        target.extend(items)

    def pair(self) -> list[Plain]:
        value = self.stack.pop()
        return [self.stack.pop(), value]


def _push(make: Callable[[_Machine], Plain]) -> Callable[[_Machine], None]:
    return lambda m: m.stack.append(make(m))


def _text(form: str) -> Callable[[_Machine], None]:
    return _push(lambda m: m.take(m.number(form)).decode("utf-8", "surrogatepass"))


def _store(form: str) -> Callable[[_Machine], None]:
    return lambda m: m.memo.__setitem__(m.number(form), m.stack[-1])


_ACTIONS: Final[dict[int, Callable[[_Machine], None]]] = {
    0x80: lambda m: m.skip(1),
    0x95: lambda m: m.skip(8),
    0x28: _Machine.mark,
    0x4E: _push(lambda _: None),
    0x88: _push(lambda _: True),
    0x89: _push(lambda _: False),
    0x4A: _push(lambda m: m.number("<i")),
    0x4B: _push(lambda m: m.number("<B")),
    0x4D: _push(lambda m: m.number("<H")),
    0x8A: _push(lambda m: int.from_bytes(m.take(m.number("<B")), "little", signed=True)),
    0x47: _push(lambda m: struct.unpack(">d", m.take(8))[0]),
    0x58: _text("<I"),
    0x8C: _text("<B"),
    0x8D: _text("<Q"),
    0x7D: _push(lambda _: {}),
    0x5D: _push(lambda _: []),
    0x29: _push(lambda _: ()),
    0x74: _push(lambda m: tuple(m.since_mark())),
    0x85: lambda m: m.tuple(1),
    0x86: lambda m: m.tuple(2),
    0x87: lambda m: m.tuple(3),
    0x6C: _push(lambda m: m.since_mark()),
    0x61: lambda m: m.extend([m.stack.pop()]),
    0x65: lambda m: m.extend(m.since_mark()),
    0x73: lambda m: m.set_items(m.pair()),
    0x75: lambda m: m.set_items(m.since_mark()),
    0x71: _store("<B"),
    0x72: _store("<I"),
    0x94: lambda m: m.memo.__setitem__(len(m.memo), m.stack[-1]),
    0x68: _push(lambda m: m.memo[m.number("<B")]),
    0x6A: _push(lambda m: m.memo[m.number("<I")]),
}
"""Opcodes of plain values: PROTO FRAME MARK NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT BINUNICODE
SHORT_BINUNICODE BINUNICODE8 EMPTY_DICT EMPTY_LIST EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 LIST APPEND APPENDS SETITEM SETITEMS
BINPUT LONG_BINPUT MEMOIZE BINGET LONG_BINGET."""
