"""What is fuzzed: each target takes any bytes and may only do what its module promises.

A target raises where a promise is broken: an error that is not the documented one, a drawing that holds a control character,
a document that does not come back as it was, more records than bytes, or more than `SECONDS` of CPU.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from parsers import registry
from parsers.registry import FileFormat, Router
from parsers.scanner import Scanner
from parsers.source import BLOCK, Block, Cutter, Meter, UnreadableError, blocks
from tests.fuzz.extension import lines
from tests.fuzz.framing import event_file, wandb_log
from tests.fuzz.names import NAMES
from tests.parsers.test_plain import kept

Target = Callable[[bytes], None]

SECONDS: Final = 5.0
"""CPU time that an input (at most 64 KB) may take, with a fuzzer's instruments attached."""
MAX_LENGTH: Final = 2**16


class BrokenPromiseError(Exception):
    """The product did something else than it says."""


@cache
def folder() -> Path:
    """Where a target's file lies: in memory where the machine has that."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    return Path(tempfile.mkdtemp(prefix="nanalyze-fuzz-", dir=place))


@contextmanager
def within_bounds() -> Iterator[None]:
    """Raises where what is inside takes too long."""
    begin = time.process_time()
    yield
    if (taken := time.process_time() - begin) > SECONDS:
        raise BrokenPromiseError(f"{taken:.1f} s of CPU")


def file_with(data: bytes, name: str) -> Path:
    """A file of this name with this content."""
    path = folder() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def check_drawings(diagnosis: Any) -> None:
    """A diagnosis can be drawn, its drawings obey nobody, and its document comes back."""
    from analyzer.output import document, markdown, terminal
    from analyzer.output.redact import redact

    for text in (terminal.render(diagnosis, color=False), markdown.render(redact(diagnosis)[0])):
        bad = {char for char in text if (ord(char) < 32 and char != "\n") or 127 <= ord(char) < 160}
        if bad:
            raise BrokenPromiseError(f"control characters in a drawing: {sorted(map(ascii, bad))}")
    text = document.dumps(diagnosis)
    json.loads(text, parse_constant=_refuse)
    if document.dumps(document.loads(text)) != text:
        raise BrokenPromiseError("the document does not come back as it was")


def _refuse(word: str) -> None:
    raise BrokenPromiseError(f"{word} in JSON")


def run(data: bytes, name: str = "run.log") -> None:
    """A whole file: read, judged and drawn."""
    from analyzer.diagnosis import Options, diagnose

    path = file_with(data, name)
    with within_bounds():
        try:
            diagnosis = diagnose([path], Options(strict=True))
        except UnreadableError:
            return
        check_drawings(diagnosis)


def is_chosen(data: bytes) -> bool:
    """Whether this input is judged and drawn too, which takes longer than to read it: one of eight."""
    return zlib.crc32(data) % 8 == 0


def text(data: bytes) -> None:
    """All text readers at once, in one block and in small ones: the same is kept; one run of eight judged and drawn."""
    if is_chosen(data):
        run(data)
    whole, pieces = (_records(data, size) for size in (BLOCK, 7 + len(data) // 5))
    if whole != pieces:
        raise BrokenPromiseError("other records where the blocks are smaller")


def _records(data: bytes, size: int) -> list[str]:
    scanner = Scanner(_all_readers(), "run.log", strict=True)
    said = []
    try:
        for block in blocks(file_with(data, "run.log"), Meter(), size):
            said += scanner.feed(block)
    except UnreadableError:
        return []
    return [repr(record) for record in kept([*said, *scanner.close()])]


@cache
def _all_readers() -> Router:
    return Router(registry.text_formats())


@cache
def _alone(name: str) -> Router:
    return Router([form for form in registry.text_formats() if form.name == name])


def reader(name: str, data: bytes) -> None:
    """One text reader alone: every line is held to it, with its hints or without."""
    scanner, cutter = Scanner(_alone(name), "run.log", strict=True), Cutter()
    with within_bounds():
        count = 0
        for block in _blocks(cutter, data):
            count += sum(1 for _ in scanner.feed(block))
        count += sum(1 for _ in scanner.close())
    if count > 64 + len(data):
        raise BrokenPromiseError(f"{count} records of {len(data)} bytes")


def _blocks(cutter: Cutter, data: bytes) -> Iterator[Block]:
    yield from cutter.feed(data)
    yield from cutter.close()


def readers(data: bytes) -> None:
    """The text readers one by one: the first byte says which."""
    names = [form.name for form in registry.text_formats()]
    reader(names[data[0] % len(names)] if data else names[0], data[1:])


def whole_file(name: str, data: bytes) -> None:
    """One whole-file reader alone, whether or not it would know the file."""
    form = next(form for form in registry.file_formats() if form.name == name)
    _read_whole(form, file_with(data, NAMES[name]), len(data))


def _read_whole(form: FileFormat, path: Path, size: int) -> None:
    with within_bounds():
        count = 0
        try:
            for count, _ in enumerate(form.read(path), 1):
                if count > 64 + 2 * size:
                    raise BrokenPromiseError(f"{count} records of {size} bytes")
        except (OSError, UnreadableError):
            return


def files(data: bytes) -> None:
    """The whole-file readers one by one: the first byte says which."""
    names = sorted(NAMES)
    whole_file(names[data[0] % len(names)] if data else names[0], data[1:])


def events(data: bytes) -> None:
    """The event-file decoder: bytes as they are, or (the first one being odd) as the payloads of sound records."""
    from parsers.tfevents import decode

    kind, rest = data[:1], data[1:]
    content = event_file(rest) if kind and kind[0] & 1 else rest
    path = file_with(content, NAMES["tensorboard"])
    with within_bounds():
        slow, fast = (repr(decode(path, fast=is_fast)) for is_fast in (False, True))
    if slow != fast:
        raise BrokenPromiseError("the columns say something else than the records one by one")
    whole_file("tensorboard", content)
    if is_chosen(data):
        run(content, NAMES["tensorboard"])


def wandb(data: bytes) -> None:
    """W&B's transaction log, likewise."""
    kind, rest = data[:1], data[1:]
    content = wandb_log(rest) if kind and kind[0] & 1 else b":W&B\xe1\xbe\x00" + rest
    whole_file("wandb_run", content)
    if is_chosen(data):
        run(content, NAMES["wandb_run"])


def document(data: bytes) -> None:
    """The loader of result documents, and every drawing of what it accepts."""
    from analyzer.output import document as documents
    from analyzer.output import html

    with within_bounds():
        try:
            diagnosis = documents.loads(data.decode("utf-8", "replace"))
        except documents.DocumentError:
            return
        check_drawings(diagnosis)
        html.render(diagnosis)


def config(data: bytes) -> None:
    """Project files: nanalyze.toml, and pyproject.toml."""
    from analyzer import project, rule
    from analyzer.errors import UsageError

    for name in project.FILES:
        path = file_with(data, name)
        with within_bounds():
            try:
                project.load(path, rule.load())
            except UsageError as error:
                if "\n" in str(error) or "\x1b" in str(error):
                    raise BrokenPromiseError("an error that is not one line of text") from None


def patterns(data: bytes) -> None:
    """`--include`, `--exclude` and `.nanalyzeignore`: a pattern a line, the first line is the name to match."""
    from parsers.tree import Choice, walk

    name, _, rest = data.decode("utf-8", "replace").replace("\0", "").partition("\n")
    tree = folder() / "tree"
    tree.mkdir(exist_ok=True)
    for old in tree.iterdir():
        old.unlink()
    with suppress(OSError, ValueError):
        (tree / name.replace("/", "-")[:60].encode()[:200].decode("utf-8", "ignore")).touch()
    (tree / ".nanalyzeignore").write_text(rest, "utf-8")
    with within_bounds():
        list(walk(str(tree), Choice()))


def pickles(data: bytes) -> None:
    """The builder of plain values out of pickles."""
    from parsers.plain_pickle import NotPlainError, load

    with within_bounds():
        try:
            load(data)
        except NotPlainError:
            return


TARGETS: Final[dict[str, Target]] = {
    "text": text, "readers": readers, "files": files, "events": events, "wandb": wandb, "document": document, "config": config,
    "patterns": patterns, "pickles": pickles, "lines": lines,
}  # fmt: skip


def target(name: str) -> Target:
    """A target by its name, or one reader's by the reader's. Raises KeyError."""
    if name in TARGETS:
        return TARGETS[name]
    if name in NAMES:
        return partial(whole_file, name)
    if name in {form.name for form in registry.text_formats()}:
        return partial(reader, name)
    raise KeyError(name)


def every_name() -> Sequence[str]:
    """All targets, the readers' own included."""
    return [*TARGETS, *(form.name for form in registry.text_formats()), *sorted(NAMES)]
