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
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from parsers import exceptions, kinds
from parsers.exception_kinds import LAUNCHER, Raised, classify
from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Event, Record, SourceRef, Value
from parsers.registry import text_reader

HEADER: Final = "Traceback (most recent call last)"
MAX_IDLE: Final = 40
"""Lines that are no part of a stack after which an open stack is given up: other ranks print in between."""
MAX_LINES: Final = 4000
"""Lines of one stack: a recursion of a thousand frames with its source lines."""
MAX_STACK: Final = 6000
"""Characters of a stack's text that are kept for `classify`: the innermost frames."""
TAIL: Final = 8
"""Lines after an exception line in which its message goes on or a chain is announced."""
MAX_CHAIN: Final = 32
"""Different exceptions of one chain or of processes that write into each other."""
MAX_OPEN: Final = 4096
"""Stacks open at once: one a rank."""

_FRAME = Lazy(r'File "(?P<file>[^"]{0,400})", line (?P<line>\d+)(?:, in (?P<function>\S{1,120}))?')
_BOXED = Lazy(r"│ (?P<file>\S{1,400}\.py):(?P<line>\d+) in (?P<function>\S{1,120})")
_RANK = Lazy(r"\[rank(?P<rank>\d+)\]: ?$")
_ENTRY_RANK = Lazy(r"rank\s*: (?P<rank>\d+) \(local_rank: ")
_CHAINED = ("During handling of the above exception", "The above exception was the direct cause")
_BAR = ("%|", "it/s]", "s/it]")
_EMITTED_BY_OTHERS: Final = frozenset({kinds.CUDA_OOM, kinds.SCALE_MINIMUM, LAUNCHER, ""})
"""Classes for which no second event is made: their own readers read the same line with more detail."""


@dataclass(slots=True)
class _Exception:
    name: str
    message: str
    ref: SourceRef
    stack: str
    frame: str
    frame_line: int
    is_linked: bool = False
    """Whether it was raised while the one before it was handled, or because of it."""
    is_open: bool = False
    """Whether its line ended with a colon: the message goes on below."""
    count: int = 1


@dataclass(slots=True)
class _Stack:
    """A traceback being read, and the chain that it belongs to."""

    header: SourceRef
    rank: int | None
    time: float | None
    prefix: re.Pattern[str] | None = None
    is_copy: bool = False
    is_ignored: bool = False
    is_bare: bool = False
    pending: int = 0
    idle: int = 0
    lines: int = 0
    tail: int = 0
    after_frame: bool = False
    is_linked: bool = False
    links: int = 0
    frame: str = ""
    frame_line: int = 0
    stack: list[str] = field(default_factory=list)
    size: int = 0
    chain: list[_Exception] = field(default_factory=list)

    def keep(self, text: str) -> None:
        """Adds a line to the stack's text; beyond the bound the outermost lines are dropped."""
        self.stack.append(text[:300])
        self.size += len(self.stack[-1])
        while self.size > MAX_STACK:
            self.size -= len(self.stack.pop(0))


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
        self._open: dict[Key, _Stack] = {}
        self._entry_rank: int | None = None
        self._is_ignoring = False

    @property
    def hungry(self) -> bool:
        """Whether a stack or the rest of a message is awaited."""
        return bool(self._open)

    def feed(self, line: Line) -> Iterable[Record]:
        """Events of the chains that this line completes."""
        key = (line.rank, line.local_rank, line.host, line.actor)
        text = line.text
        if HEADER in text:
            yield from self._header(key, line)
            return
        if "Exception ignored in" in text:
            self._is_ignoring = True
        if "(local_rank: " in text:
            found = _ENTRY_RANK.search(text)
            self._entry_rank = int(found["rank"]) if found else self._entry_rank
        stack = self._open.get(key)
        if stack is None:
            stack = self._bare(key, line)
        elif self._is_done(stack, line):
            yield from self._emit(key)
            self._bare(key, line)

    def close(self) -> Iterable[Record]:
        """The chains that the end of the file cut off."""
        for key in list(self._open):
            yield from self._emit(key)

    def _header(self, key: Key, line: Line) -> Iterator[Record]:
        before, _, after = line.text.partition(HEADER)
        count = 1 + after.count(HEADER)
        rank = _RANK.search(before)
        if rank and line.rank is None:
            key = (int(rank["rank"]), *key[1:])
        known = self._open.get(key)
        is_origin = before.endswith("Original ")
        if known is not None and not known.pending and not (known.is_linked or is_origin):
            yield from self._emit(key)
            known = None
        if known is None:
            if len(self._open) >= MAX_OPEN:
                yield from self._emit(next(iter(self._open)))
            is_copy = before.rstrip().endswith("traceback :")
            known = _Stack(line.ref, self._entry_rank if is_copy else key[0], line.time, _prefix(before), is_copy)
            known.is_ignored, self._is_ignoring = self._is_ignoring, False
            self._open[key] = known
        known.links += count if known.is_linked or is_origin else 0
        known.is_linked = False
        known.pending += count
        known.idle = known.tail = 0
        if _FRAME.search(after):
            _frame(known, after)

    def _bare(self, key: Key, line: Line) -> _Stack | None:
        """Opens a chain at an exception line that has no stack, as logs hold that were cut or grepped."""
        if not line.hints:
            return None
        text = line.text.strip()
        is_stop = text.startswith(("KeyboardInterrupt", "Detected KeyboardInterrupt"))
        found = ("KeyboardInterrupt", "") if is_stop else exceptions.parse_bare(text)
        if found is None:
            return None
        stack = _Stack(line.ref, line.rank, line.time, is_bare=True)
        stack.is_ignored, self._is_ignoring = self._is_ignoring, False
        stack.chain.append(_Exception(*found, line.ref, "", "", 0, is_open=text.endswith(":")))
        self._open[key] = stack
        return stack

    def _is_done(self, stack: _Stack, line: Line) -> bool:
        """Reads a line into an open stack; whether the chain ended before it."""
        text = line.text
        if stack.prefix:
            found = stack.prefix.match(text)
            text = text[found.end() :] if found else text
        stack.lines += 1
        if stack.lines > MAX_LINES:
            return True
        if _FRAME.search(text) or _BOXED.search(text):
            if not stack.pending:  # a stack that is part of a message (Ray, a DataLoader) has no header of its own
                stack.pending = stack.links = 1
            stack.idle = stack.tail = 0
            _frame(stack, text)
            return False
        return self._in_tail(stack, text) if not stack.pending else self._in_stack(stack, line, text)

    def _in_stack(self, stack: _Stack, line: Line, text: str) -> bool:
        body = text[2:] if stack.is_copy and text.startswith("  ") else text
        raised = exceptions.parse(body)
        torn = exceptions.find_torn(body) if raised is None and body[:1] not in (" ", "\t", "│") else []
        if raised:
            _close(stack, *raised, line.ref)
        elif len(torn) > 1 or (torn and body.startswith(torn[0])):
            for name in torn[: stack.pending]:
                _close(stack, name, body[body.rfind(name) + len(name) :].lstrip(": ")[: exceptions.MAX_MESSAGE], line.ref)
        elif stack.after_frame or not body.strip() or body[:1] in (" ", "\t", "│", "╰", "[", "^"):
            stack.keep(body)
            stack.idle = 0 if stack.after_frame else stack.idle + (body[:1] == "[")
            stack.after_frame = False
        else:
            stack.idle += 1
        return stack.idle > MAX_IDLE

    def _in_tail(self, stack: _Stack, text: str) -> bool:
        stack.tail += 1
        if any(mark in text for mark in _CHAINED):
            stack.is_linked = True
            stack.tail = 0
        elif exceptions.parse_bare(text.strip()) and stack.tail > 2:
            return True
        else:
            _continue(stack.chain[-1], text)
        return stack.tail > TAIL

    def _emit(self, key: Key) -> Iterator[Record]:
        stack = self._open.pop(key)
        if stack.chain or stack.pending:
            yield from _events(stack)


def _prefix(before: str) -> re.Pattern[str] | None:
    """What a log shipper puts before each line of a stack, digits made free; None where nothing or a bar stands there."""
    if (
        not before.strip()
        or len(before) > 200
        or any(bar in before for bar in _BAR)
        or before.rstrip().endswith(("traceback :", "Original"))
    ):
        return None
    return re.compile(re.sub(r"\d+", r"\\d+", re.escape(before)))


def _frame(stack: _Stack, text: str) -> None:
    found = _FRAME.search(text) or _BOXED.search(text)
    if found:
        stack.frame, stack.frame_line = found["file"], int(found["line"])
        stack.keep(f"{found['file']} in {found['function'] or ''}")
    stack.after_frame = True


def _close(stack: _Stack, name: str, message: str, ref: SourceRef) -> None:
    """One of the pending stacks ends with this exception."""
    is_linked = stack.links > 0 and bool(stack.chain)
    stack.pending, stack.links = max(0, stack.pending - 1), max(0, stack.links - 1)
    stack.idle = stack.tail = 0
    twin = next((one for one in stack.chain if not is_linked and (one.name, one.message) == (name, message)), None)
    if twin:
        twin.count += 1
    elif len(stack.chain) < MAX_CHAIN:
        text = "\n".join(stack.stack)
        is_open = ref.text.endswith(":")
        stack.chain.append(_Exception(name, message, ref, text, stack.frame, stack.frame_line, is_linked, is_open))
    if not stack.pending:
        stack.stack, stack.size = [], 0


def _continue(raised: _Exception, text: str) -> None:
    """Adds a line to a message that began on the exception line: only where that line was left open."""
    text = text.strip()
    if text and raised.is_open and not text.startswith(("[", "====", "frame #")) and len(raised.message) < exceptions.MAX_MESSAGE:
        raised.message = f"{raised.message}\n{text}".strip()[: exceptions.MAX_MESSAGE]


def _events(stack: _Stack) -> Iterator[Record]:
    for chain in _chains(stack.chain) or [[]]:
        last = chain[-1] if chain else None
        owner, details = _owner(chain)
        data: dict[str, Value] = {
            "exception": last.name if last else "", "message": last.message if last else "",
            "frame": last.frame if last else stack.frame, "frame_line": last.frame_line if last else stack.frame_line,
            "header": stack.header.line, "owner": owner, "count": max((one.count for one in chain), default=1),
            "is_copy": stack.is_copy, "is_ignored": stack.is_ignored, "is_bare": stack.is_bare,
        }  # fmt: skip
        if len(chain) > 1:
            first = chain[0]
            data |= {"root_exception": first.name, "root_message": first.message, "root_line": first.ref.line}
        ref = last.ref if last else stack.header
        yield Event(kinds.TRACEBACK, ref, rank=stack.rank, time=stack.time, data=data)
        if owner not in _EMITTED_BY_OTHERS and not stack.is_ignored:
            yield Event(owner, ref, rank=stack.rank, time=stack.time, data={**data, **details})


def _chains(raised: list[_Exception]) -> list[list[_Exception]]:
    """Exceptions that led to one another together; those of other processes apart."""
    chains: list[list[_Exception]] = []
    for one in raised:
        if one.is_linked and chains:
            chains[-1].append(one)
        else:
            chains.append([one])
    return chains


def _owner(chain: list[_Exception]) -> tuple[str, Mapping[str, Value]]:
    """The class of a chain: of its last exception, or of the nearest one before it that has a class."""
    found = [classify(Raised(e.name, e.message, e.stack)) for e in chain]
    if found and found[0].kind == kinds.INTERRUPTED:
        return found[0].kind, found[0].data
    named = next((one for one in reversed(found) if one.kind), None)
    return (named.kind, named.data) if named else ("", {})
