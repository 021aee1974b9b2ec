"""What was judged before: a SQLite file in the user's cache folder, shared by all scans of this user.

A result is kept under what it depends on: the bytes and names of the run's files, this tool's version and knowledge
(every reader, rule and cause), and the options. Paths are no part of it: a tree that was moved or copied is known. A
second table remembers which bytes a path held when its size, time and inode were what they are now, so that a run that
nobody touched is not read again.

Written in transactions (WAL): a scan that is killed loses what it did in its last second and leaves nothing half-written;
several scans may share the file. Whatever goes wrong with it is said once, and the scan goes on without.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from analyzer.batch import card as cards
from analyzer.batch.task import Result, relative
from analyzer.errors import UsageError
from parsers.discover import RunFiles

T = TypeVar("T")

SCHEMA: Final = 1
COMMIT_EVERY: Final = 1.0
"""Seconds of work that a killed scan may lose."""
SETTLED: Final = 2.0
"""Seconds for which a file must have been left alone before its time stamp is believed: clocks tick coarsely."""
LIMIT: Final = 2_000_000_000
"""Bytes that the cache may hold: some 300,000 runs. Beyond that, what no scan has asked for longest is forgotten."""
FRESH: Final = 86_400
"""Seconds after which being asked for is noted again."""
ASKED: Final = 500
WAIT: Final = 30.0

_TABLES: Final = """
create table if not exists places (root text primary key, stamp blob not null, content blob not null) without rowid;
create table if not exists shapes (shape blob primary key) without rowid;
create table if not exists cards
  (key blob primary key, root text not null, card text not null, at integer not null) without rowid;
create table if not exists documents (key blob primary key, body blob not null);
"""
_INSERT: Final = {
    "places": "insert or replace into places values (?, ?, ?)",
    "shapes": "insert or ignore into shapes values (?)",
    "cards": "insert or replace into cards values (?, ?, ?, ?)",
    "documents": "insert or replace into documents values (?, ?)",
}


class Known(NamedTuple):
    """A result that was kept: where the run stood then, and its card as JSON."""

    key: bytes
    root: str
    card: str


def default_path() -> Path:
    """`nanalyze/scan-1.db` in the user's cache folder (XDG_CACHE_HOME, else ~/.cache)."""
    place = os.environ.get("XDG_CACHE_HOME", "")
    try:
        folder = Path(place) if os.path.isabs(place) else Path.home() / ".cache"
    except RuntimeError:  # nobody knows this user's home: the cache says so when it is opened, and the scan goes on
        folder = Path("/nonexistent")
    return folder / "nanalyze" / f"scan-{SCHEMA}.db"


class Mark(NamedTuple):
    """What is told of a run's files without reading them: `stamp` is equal where nobody touched them, b'' where that cannot
    be told (yet); `shape`, of names and sizes, is equal where they may be the same in another place.
    """

    stamp: bytes
    shape: bytes


UNKNOWN: Final = Mark(b"", b"")


def mark(files: RunFiles) -> Mark:
    """The mark of a run's files as they are now."""
    stamps, shapes = [], []
    newest = 0.0
    try:
        for name, file, told in zip(relative(files), files.files, files.marks or ("",) * len(files.files), strict=True):
            if told:
                stamps.append(f"{name}\0{told}\n")
                continue
            found = os.stat(file)
            newest = max(newest, found.st_mtime)
            stamps.append(f"{name}\0{found.st_size} {found.st_mtime_ns} {found.st_ino}\n")
            shapes.append(f"{name}\0{found.st_size}\n")
    except (OSError, ValueError):
        return UNKNOWN
    is_settled = time.time() - newest > SETTLED
    return Mark(_digest(stamps) if is_settled else b"", _digest(shapes) if len(shapes) == len(stamps) else b"")


def _digest(lines: Sequence[str]) -> bytes:
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).digest()


class Cache:
    """The file, or nothing where it is off or cannot be used: then it knows nothing and keeps nothing."""

    def __init__(self, path: Path | None, knowledge: bytes, complain: object = None) -> None:
        self._knowledge = knowledge
        self._complain = complain
        self._path = path
        self._base: sqlite3.Connection | None = None
        self._since = time.monotonic()
        self._new: dict[str, list[tuple[object, ...]]] = {table: [] for table in _INSERT}
        """Rows that are not in the file yet."""
        if path is not None:
            with self._tolerant():
                self._base = _opened(path)

    def __enter__(self) -> Cache:
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()
        self.prune()
        if self._base is not None:
            self._base.close()

    def key(self, content: bytes) -> bytes:
        """Under what a run with this content is kept."""
        return hashlib.sha256(self._knowledge + content).digest()

    def contents(self, runs: Sequence[RunFiles], marks: Mapping[str, Mark]) -> dict[str, bytes]:
        """root → content, of the runs whose files are as they were; `marks`: root → the mark of its files now."""
        told: dict[str, bytes] = {}
        if self.is_empty:
            return told
        for some in _by(ASKED, runs):
            with self._tolerant():
                rows = self._rows("select root, stamp, content from places where root in", [run.root for run in some])
                kept = {root: (mark, content) for root, mark, content in rows}
                same = (run.root for run in some if run.root in kept and kept[run.root][0] == marks[run.root].stamp)
                told.update((root, kept[root][1]) for root in same)
        return told

    def shapes(self, shapes: Sequence[bytes]) -> set[bytes]:
        """Those of these shapes that a run has that is kept: no other is worth reading to see whether it is known."""
        told: set[bytes] = set()
        for some in _by(ASKED, shapes):
            with self._tolerant():
                told.update(shape for (shape,) in self._rows("select shape from shapes where shape in", some))
        return told

    def known(self, keys: Sequence[bytes]) -> dict[bytes, Known]:
        """key → what was kept."""
        told: dict[bytes, Known] = {}
        for some in _by(ASKED, keys):
            with self._tolerant():
                told.update((row[0], Known(*row)) for row in self._rows("select key, root, card from cards where key in", some))
        self._note_use(list(told))
        return told

    def _note_use(self, keys: Sequence[bytes]) -> None:
        now = int(time.time())
        for some in _by(ASKED, keys):
            with self._tolerant():
                self._of("update cards set at = ? where at < ? and key in", some, now, now - FRESH)
        self.flush()  # an open transaction would keep other scans from writing

    def prune(self, limit: int = LIMIT) -> int:
        """Forgets the results that were asked for longest ago until three quarters of `limit` are left; how many.

        The file keeps its size and later results take the room.
        """
        if self._base is None:
            return 0
        forgotten = 0
        with self._tolerant():
            while self._held() > (limit if not forgotten else limit * 3 // 4):
                oldest = [key for (key,) in self._base.execute("select key from cards order by at, key limit ?", (ASKED,))]
                if not oldest:
                    break
                self._of("delete from documents where key in", oldest)
                self._of("delete from cards where key in", oldest)
                self._base.commit()
                forgotten += len(oldest)
        return forgotten

    def _held(self) -> int:
        """Bytes in use."""
        assert self._base is not None
        size, pages, free = (self._base.execute(f"pragma {name}").fetchone()[0] for name in
                             ("page_size", "page_count", "freelist_count"))  # fmt: skip
        return int(size) * (int(pages) - int(free))

    def body(self, key: bytes) -> bytes:
        """The compressed document, b'' where it is not kept."""
        with self._tolerant():
            for (body,) in self._rows("select body from documents where key in", [key]):
                return bytes(body)
        return b""

    def first_bytes(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """key → the first byte of its document, of those that are kept: what that says of it is `body`'s matter."""
        told: dict[bytes, bytes] = {}
        for some in _by(ASKED, keys):
            with self._tolerant():
                told.update(self._rows("select key, substr(body, 1, 1) from documents where key in", some))
        return told

    @property
    def is_empty(self) -> bool:
        """Whether nothing is kept: then nothing needs to be looked up."""
        found = None
        with self._tolerant():
            found = self._base.execute("select 1 from cards limit 1").fetchone() if self._base is not None else None
        return found is None

    def add(self, result: Result, mark: Mark) -> None:
        """Keeps a result; one without content or document (an error) is tried again next time."""
        if self._base is None or not result.content or not result.body:
            return
        key = self.key(result.content)
        self._new["cards"].append((key, result.files.root, cards.dumps(result.card), int(time.time())))
        self._new["documents"].append((key, result.body))
        self.place(result.files.root, mark, result.content)
        if time.monotonic() - self._since > COMMIT_EVERY:
            self.flush()

    def place(self, root: str, mark: Mark, content: bytes) -> None:
        """Remembers what stands at a path."""
        if mark.stamp:
            self._new["places"].append((root, mark.stamp, content))
        if mark.shape:
            self._new["shapes"].append((mark.shape,))

    def flush(self) -> None:
        """Makes what was added last, in one transaction: between two of them other scans can write."""
        self._since = time.monotonic()
        if self._base is None:
            return
        with self._tolerant():
            for table, rows in self._new.items():
                self._base.executemany(_INSERT[table], rows)
                rows.clear()
            self._base.commit()

    def _rows(self, select: str, values: Sequence[object]) -> Iterable[tuple[Any, ...]]:
        """The rows of a statement that ends in `in`."""
        found = self._of(select, values)
        return found.fetchall() if found is not None else ()

    def _of(self, statement: str, values: Sequence[object], *before: object) -> sqlite3.Cursor | None:
        """Runs a statement that ends in `in` for these values, `before` filling its earlier places."""
        if self._base is None or not values:
            return None
        return self._base.execute(f"{statement} ({','.join('?' * len(values))})", [*before, *values])

    @contextmanager
    def _tolerant(self) -> Iterator[None]:
        """Nothing that goes wrong with the cache ends a scan."""
        try:
            yield
        except (sqlite3.Error, OSError, UnicodeError) as error:
            if self._base is not None:
                self._base.close()
            self._base = None
            if callable(self._complain):
                self._complain(
                    f"the cache {self._path} cannot be used ({error}): going on without it (--cache PATH names another)."
                )


def _opened(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Quotes of logs are nobody else's. SQLite gives its other files the same permissions.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    try:
        return _connected(path)
    except sqlite3.DatabaseError as error:
        if "not a database" not in str(error) and "malformed" not in str(error):
            raise
        os.replace(path, path.with_name(f"{path.name}.damaged"))
        return _connected(path)


def _connected(path: Path) -> sqlite3.Connection:
    base = sqlite3.connect(path, timeout=WAIT, isolation_level="IMMEDIATE")
    base.execute("pragma journal_mode=wal")
    base.execute("pragma synchronous=normal")
    base.executescript(_TABLES)
    return base


def _by(size: int, things: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(things), size):
        yield things[start : start + size]


def path_of(asked: str) -> Path | None:
    """`off` → no cache, '' → the user's, else a path. Raises UsageError for a folder."""
    if asked == "off":
        return None
    path = Path(asked) if asked else default_path()
    if path.is_dir():
        raise UsageError(f"{path} is a folder: name a file for the cache, or --cache off.")
    return path


def knowledge(options: object) -> bytes:
    """The digest of everything that a diagnosis depends on beside the run: our version, readers, rules, causes, options."""
    import analyzer
    import parsers
    from analyzer.version import VERSION

    told = hashlib.sha256(f"{VERSION}\0{options!r}\n".encode("utf-8", "surrogateescape"))
    roots = [Path(str(module.__file__)).parent for module in (analyzer, parsers)]
    own = [Path(folder) for folder in getattr(options, "rules", ())]
    for root in (*roots, *own):
        for path in sorted(path for kind in ("*.py", "*.toml") for path in root.rglob(kind)):
            told.update(f"{path.relative_to(root)}\0".encode("utf-8", "surrogateescape"))
            told.update(hashlib.sha256(path.read_bytes()).digest())
    return told.digest()
