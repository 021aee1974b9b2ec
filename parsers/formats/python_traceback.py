"""Python tracebacks: whole, of several ranks at once, torn, chained, boxed by rich, or only their last line.

Printed by the interpreter (`sys.excepthook`), `logging.exception`, torch's rank-prefixing hook (2.2 on) and, a second
time and indented, inside torchrun's `ChildFailedError` block:

    [rank1]: Traceback (most recent call last):
    [rank1]:   File "/home/user/exp/train.py", line 150, in <module>
    [rank1]:     engine.save_checkpoint(a.save_dir)
    [rank1]: RuntimeError: [enforce fail at inline_container.cc:672] . unexpected pos 544448 vs 544336
      traceback : Traceback (most recent call last):
        File "/home/user/exp/train.py", line 5, in main
      RuntimeError: boom

Chains (`During handling of the above exception, …`, `The above exception was the direct cause …`, a DataLoader's
`Original Traceback`) are one event: the last exception is what ended the program, the first is named beside it. Each
chain yields a `traceback` event at its exception line and, where `exception_kinds.classify` knows what it is, an event of
that kind at the same place. Whether it was handled cannot be seen here: the analyzer looks whether training went on.

Without prefixes the stacks of many ranks are mixed line by line; then every header is paired with one exception line
and the stack is a mixture. A stack that is never closed is reported without an exception.

Of a log that is all tracebacks `ENOUGH` lines are read whole. Behind them a header or an exception line that differs from
one before in digits alone is passed over, but the last ones of the file, and a problem says how many were.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from parsers import exceptions, kinds
from parsers.exception_kinds import LAUNCHER
from parsers.lazy import Lazy
from parsers.line import Line, make_line
from parsers.model import Event, Problem, Record, SourceRef, Value
from parsers.registry import text_reader
from parsers.sated import Late, words
from parsers.stacks import CAUSE, CONTEXT, Caught, Stack, owner, prefix_of

HEADER: Final = "Traceback (most recent call last)"
MAX_IDLE: Final = 40
"""Lines that are no part of a stack after which an open stack is given up: other ranks print in between."""
MAX_LINES: Final = 4000
"""Lines of one stack: a recursion of a thousand frames with its source lines."""
MAX_GAP: Final = 200
"""Lines between two late ones that belong to one stack."""
TAIL: Final = 8
"""Lines after an exception line in which its message goes on or a chain is announced."""
MAX_OPEN: Final = 4096
"""Stacks open at once: one a rank."""
ENOUGH: Final = 20_000
"""Lines that are read whole: of more tracebacks than a thousand the collector keeps the first and the last only."""
MAX_LATE: Final = 256
"""The last headers and exception lines that are read although they say nothing new: what ended the program is among them."""
MAX_WORDS: Final = 4096
"""Lines of different words that are read behind them."""

_RANK = Lazy(r"\[rank(?P<rank>\d{1,7})\]: ?$")
_ENTRY_RANK = Lazy(r"rank\s*: (?P<rank>\d{1,7}) \(local_rank: ")
_INSIDE: Final = (" ", "\t", "│", "╰", "[", "^")
"""What lines of a stack that are neither frame nor exception begin with: source, carets, `[Previous line repeated …]`."""
_STOPS: Final = ("KeyboardInterrupt", "Detected KeyboardInterrupt")
_EMITTED_BY_OTHERS: Final = frozenset({kinds.CUDA_OOM, kinds.SCALE_MINIMUM, LAUNCHER, ""})
"""Classes for which no second event is made: their own readers read the same line with more detail."""

Key = tuple[int | None, int | None, str, str]


@text_reader(
    "python_traceback",
    title="Python tracebacks and exceptions (per rank, chained, torn)",
    hints=(
        HEADER, "Exception ignored in", "(local_rank: ", "Error: ", "Exception: ", "KeyboardInterrupt", "Interrupt: ",
        "RecompileLimitHit: ", "cannot import name '",
    ),
    example="RuntimeError: element 0 of tensors does not require grad and does not have a grad_fn",
)  # fmt: skip
class PythonTraceback:
    """Reads stacks of any number of processes that share a file."""

    def __init__(self) -> None:
        self._open: dict[Key, Stack] = {}
        self._entry_rank: int | None = None
        self._is_ignoring = False
        self._file = ""
        self._fed = 0
        self._known: set[bytes] = set()
        self._last = b""
        self.late = Late(MAX_LATE)

    def refutes(self, _: Iterable[bytes], fragment: bytes) -> bool:
        """Whether so much was read that this line, of no open stack, would say nothing new."""
        if self._fed < ENOUGH or not (fragment == self._last or self._is_known(words(fragment))):
            return False
        self._last = fragment
        return True

    def _is_known(self, said: bytes) -> bool:
        return said in self._known or len(self._known) >= MAX_WORDS

    @property
    def hungry(self) -> bool:
        """Whether a stack or the rest of a message is awaited."""
        return bool(self._open)

    def feed(self, line: Line) -> Iterable[Record]:
        """Events of the chains that this line completes."""
        self._file, self._fed = line.file, self._fed + 1
        if self._fed > ENOUGH and line.hints and self._is_repetition(line):
            self.late.append((line.no, line.raw.encode(), line.hints, line.rank))
            if _key(line) in self._open:
                yield from self._emit(_key(line))
            return
        yield from self._read(line)

    def _is_repetition(self, line: Line) -> bool:
        """Whether a header, or an exception line that no open stack waits for, says nothing new."""
        stack = self._open.get(_key(line))
        if stack is not None and stack.pending and HEADER not in line.text:
            return False
        said = words(line.raw.encode())
        if not self._is_known(said):
            self._known.add(said)
            return False
        return True

    def _read(self, line: Line) -> Iterator[Record]:
        key = _key(line)
        if HEADER in line.text:
            yield from self._header(key, line)
            return
        if "Exception ignored in" in line.text:
            self._is_ignoring = True
        if "(local_rank: " in line.text and (found := _ENTRY_RANK.search(line.text)):
            self._entry_rank = int(found["rank"])
        stack = self._open.get(key)
        if stack is None:
            self._bare(key, line)
        elif _is_done(stack, line):
            yield from self._emit(key)
            self._bare(key, line)

    def gap(self) -> Iterable[Record]:
        """The chains that are open where the next lines are passed over."""
        return self._emit_all()

    def close(self) -> Iterable[Record]:
        """The chains that the end of the file cut off, and the last ones that were passed over."""
        yield from self._emit_all()
        before = 0
        for number, data, hints, rank in self.late.lines:
            if number - before > MAX_GAP:
                yield from self._emit_all()
            before = number
            line = make_line(self._file, number, data)
            line.hints, line.rank = hints, rank if line.rank is None else line.rank
            yield from self._read(line)
        yield from self._emit_all()
        more = self.late.count - len(self.late.lines)
        if more:
            said = f"tracebacks without end: {more} lines that differ in numbers alone were passed over."
            yield Problem(SourceRef(self._file, self.late.lines[0][0]), "python_traceback", said)

    def _emit_all(self) -> Iterator[Record]:
        for key in list(self._open):
            yield from self._emit(key)

    def _header(self, key: Key, line: Line) -> Iterator[Record]:
        before, _, after = line.text.partition(HEADER)
        if line.rank is None and (rank := _RANK.search(before)):
            key = (int(rank["rank"]), *key[1:])
        known = self._open.get(key)
        is_origin = before.endswith("Original ")
        if known is not None and not known.pending and not (known.announced or is_origin):
            yield from self._emit(key)
            known = None
        if known is None:
            if len(self._open) >= MAX_OPEN:
                yield from self._emit(next(iter(self._open)))
            is_copy = before.rstrip().endswith("traceback :")
            known = Stack(line.ref, self._entry_rank if is_copy else key[0], line.time, prefix_of(before), is_copy)
            known.is_ignored, self._is_ignoring = self._is_ignoring, False
            self._open[key] = known
        known.open(1 + after.count(HEADER), "cause" if is_origin else "")
        known.take_frame(after)

    def _bare(self, key: Key, line: Line) -> None:
        """Opens a chain at an exception line that has no stack, as logs hold that were cut or grepped."""
        if not line.hints:
            return
        text = line.text.strip()
        found = (_STOPS[0], "") if text.startswith(_STOPS) else exceptions.parse_bare(text)
        if found is not None:
            stack = Stack(line.ref, line.rank, line.time, is_bare=True)
            stack.is_ignored, self._is_ignoring = self._is_ignoring, False
            stack.caught.append(Caught(*found, line.ref, is_open=text.endswith(":")))
            self._open[key] = stack

    def _emit(self, key: Key) -> Iterator[Record]:
        stack = self._open.pop(key)
        if stack.caught or stack.pending:
            yield from _events(stack)


def _key(line: Line) -> Key:
    return line.rank, line.local_rank, line.host, line.actor


def _is_done(stack: Stack, line: Line) -> bool:
    """Reads a line into an open stack; whether the chain ended before it."""
    text = line.text
    if stack.prefix and (found := stack.prefix.match(text)):
        text = text[found.end() :]
    stack.lines += 1
    if stack.lines > MAX_LINES:
        return True
    if stack.take_frame(text):
        return False
    return _is_left(stack, line, text) if stack.pending else _is_said(stack, text)


def _is_left(stack: Stack, line: Line, text: str) -> bool:
    """A line while a stack is open; whether nothing of it has come for long."""
    body = text[2:] if stack.is_copy and text.startswith("  ") else text
    raised = exceptions.parse(body)
    torn = exceptions.find_torn(body) if raised is None and not body.startswith((" ", "\t", "│")) else []
    if raised:
        stack.close(*raised, line.ref)
    elif len(torn) > 1 or (torn and body.startswith(torn[0])):
        for name in torn[: stack.pending]:
            message = body[body.rfind(name) + len(name) :].lstrip(": ")
            stack.close(name, message[: exceptions.MAX_MESSAGE], line.ref)
    elif stack.after_frame or not body.strip() or body.startswith(_INSIDE):
        stack.keep(body)
        stack.idle = 0 if stack.after_frame else stack.idle + body.startswith("[")
        stack.after_frame = False
    else:
        stack.idle += 1
    return stack.idle > MAX_IDLE


def _is_said(stack: Stack, text: str) -> bool:
    """A line after an exception's; whether the message, or the chain, has ended."""
    stack.tail += 1
    if CAUSE in text or CONTEXT in text:
        stack.announced = "cause" if CAUSE in text else "context"
        stack.tail = 0
    elif stack.tail > 2 and exceptions.parse_bare(text.strip()):
        return True
    else:
        stack.caught[-1].go_on(text)
    return stack.tail > TAIL


def _events(stack: Stack) -> Iterator[Record]:
    for chain in stack.chains() or [[]]:
        last = chain[-1] if chain else Caught("", "", stack.header, frame=stack.frame, frame_line=stack.frame_line)
        kind, details = owner(chain)
        data: dict[str, Value] = {
            "exception": last.name, "message": last.message, "frame": last.frame, "frame_line": last.frame_line,
            "call": last.call, "header": stack.header.line, "owner": kind, "count": max((one.count for one in chain), default=1),
            "is_copy": stack.is_copy, "is_ignored": stack.is_ignored, "is_bare": stack.is_bare,
        }  # fmt: skip
        if len(chain) > 1:
            first = chain[0]
            data |= {"root_exception": first.name, "root_message": first.message, "root_line": first.ref.line}
        yield Event(kinds.TRACEBACK, last.ref, rank=stack.rank, time=stack.time, data=data)
        if kind not in _EMITTED_BY_OTHERS and not stack.is_ignored:
            yield Event(kind, last.ref, rank=stack.rank, time=stack.time, data={**data, **details})
