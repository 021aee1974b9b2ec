"""A Python stack while it is read: its frames, the exceptions that close it, and how they hang together."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from parsers import kinds
from parsers.exception_kinds import Raised, classify
from parsers.exceptions import MAX_MESSAGE
from parsers.lazy import Lazy
from parsers.model import SourceRef, Value

MAX_STACK: Final = 6000
"""Characters of a stack's text that are kept for `classify`: the innermost frames."""
MAX_CHAIN: Final = 32
"""Different exceptions of one chain or of processes that write into each other."""

CAUSE: Final = "The above exception was the direct cause"
CONTEXT: Final = "During handling of the above exception"

_FRAME = Lazy(r'File "(?P<file>[^"]{0,400})", line (?P<line>\d{1,9})(?:, in (?P<function>\S{1,120}))?')
_INSTALLED = Lazy(r"(?:site|dist)-packages/|/lib/python3|^<frozen ")
_BOXED = Lazy(r"│ (?P<file>\S{1,400}\.py):(?P<line>\d{1,9}) in (?P<function>\S{1,120})")


@dataclass(slots=True)
class Caught:
    """One exception line. `stack` is the text of the frames before it; `link` says how it hangs on the one before."""

    name: str
    message: str
    ref: SourceRef
    stack: str = ""
    frame: str = ""
    frame_line: int = 0
    link: str = ""
    """`cause` (raised from it), `context` (raised while it was handled), or '' where it stands alone."""
    is_open: bool = False
    """Whether its line ended with a colon: the message goes on below."""
    count: int = 1
    call: str = ""
    """What the program itself had called: `all_reduce (train.py:132)`, where the innermost frame is a library's."""

    def go_on(self, text: str) -> None:
        """Adds a line to the message, if that was left open."""
        text = text.strip()
        if text and self.is_open and not text.startswith(("[", "====", "frame #")) and len(self.message) < MAX_MESSAGE:
            self.message = f"{self.message}\n{text}".strip()[:MAX_MESSAGE]


@dataclass(slots=True)
class Stack:
    """Stacks of one stream that are open, and the exceptions that closed earlier ones.

    Without prefixes many processes share a stream: `pending` counts headers that no exception has closed yet.
    """

    header: SourceRef
    rank: int | None
    time: float | None
    prefix: re.Pattern[str] | None = None
    is_copy: bool = False
    is_ignored: bool = False
    is_bare: bool = False
    pending: int = 0
    links: list[str] = field(default_factory=list)
    """How the stacks that are open hang on exceptions before them, oldest first."""
    announced: str = ""
    """The link that the last line announced for the next stack."""
    idle: int = 0
    lines: int = 0
    tail: int = 0
    after_frame: bool = False
    frame: str = ""
    frame_line: int = 0
    own: str = ""
    call: str = ""
    text: list[str] = field(default_factory=list)
    size: int = 0
    caught: list[Caught] = field(default_factory=list)

    def open(self, count: int, link: str = "") -> None:
        """Further headers: `count` stacks begin, of which the first hangs on an exception before as `link` says."""
        link = link or self.announced
        if link:
            self.links.append(link)
        self.announced = ""
        self.pending += count
        self.idle = self.tail = 0

    def keep(self, text: str) -> None:
        """Adds a line to the stack's text; beyond the bound the outermost lines are dropped."""
        self.text.append(text[:300])
        self.size += len(self.text[-1])
        while self.size > MAX_STACK:
            self.size -= len(self.text.pop(0))

    def take_frame(self, text: str) -> bool:
        """Reads a frame, where the line is one. A stack that is part of a message has no header of its own."""
        found = _FRAME.search(text) or _BOXED.search(text)
        if found is None:
            return False
        if not self.pending:
            self.open(1, "cause")
        self.frame, self.frame_line = found["file"], int(found["line"])
        if not _INSTALLED.search(self.frame):
            self.own, self.call = f"{self.frame.rpartition('/')[2]}:{self.frame_line}", ""
        elif self.own and found["function"]:
            self.call = f"{found['function']} ({self.own})"
        self.keep(f"{found['file']} in {found['function'] or ''}")
        self.idle = self.tail = 0
        self.after_frame = True
        return True

    def close(self, name: str, message: str, ref: SourceRef) -> None:
        """One of the open stacks ends with this exception."""
        link = self.links.pop(0) if self.links and self.caught else ""
        self.pending = max(0, self.pending - 1)
        self.idle = self.tail = 0
        twin = next((one for one in self.caught if not link and (one.name, one.message) == (name, message)), None)
        if twin:
            twin.count += 1
        elif len(self.caught) < MAX_CHAIN:
            is_open = ref.text.endswith(":")
            text = "\n".join(self.text)
            self.caught.append(
                Caught(
                    name, message, ref, text, self.frame, self.frame_line, link, is_open, call="" if self.pending else self.call
                )
            )
        self.own = self.call = ""
        if not self.pending:
            self.text, self.size = [], 0

    def chains(self) -> list[list[Caught]]:
        """Exceptions that led to one another together; those of other processes apart."""
        chains: list[list[Caught]] = []
        for one in self.caught:
            if one.link and chains:
                chains[-1].append(one)
            else:
                chains.append([one])
        return chains


def owner(chain: Sequence[Caught]) -> tuple[str, Mapping[str, Value]]:
    """The class of a chain: of its last exception, or of the nearest one before it that has a class.

    An import that failed and was handled (an optional package) does not own what was raised while it was handled.
    """
    found = [classify(Raised(one.name, one.message, one.stack)) for one in chain]
    if found and found[0].kind == kinds.INTERRUPTED:
        return found[0].kind, found[0].data
    for place in range(len(found) - 1, -1, -1):
        is_optional = found[place].kind == kinds.DEPENDENCY_ERROR and any(one.link == "context" for one in chain[place + 1 :])
        if found[place].kind and not is_optional:
            return found[place].kind, found[place].data
    return "", {}


def prefix_of(before: str) -> re.Pattern[str] | None:
    """What a log shipper puts before each line of a stack, digits made free; None where nothing or a bar stands there."""
    is_bar = any(mark in before for mark in ("%|", "it/s]", "s/it]"))
    if not before.strip() or len(before) > 200 or is_bar or before.rstrip().endswith(("traceback :", "Original")):
        return None
    return re.compile(re.sub(r"\d+", r"\\d+", re.escape(before)))
