"""One run's work, wherever it is done: read, judge, draw. What goes in and comes out can be sent to another machine."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from analyzer.batch.body import Samples, packed, unpacked
from analyzer.batch.card import Card, card, moved, unread
from analyzer.errors import AnalyzerError
from analyzer.model import Diagnosis, RunSummary
from parsers.discover import RunFiles
from parsers.model import SourceRef

if TYPE_CHECKING:
    from analyzer.diagnosis import Options
    from analyzer.output.index import Row
    from parsers import Run

SLOWEST: Final = 3.0
"""Seconds a megabyte that a run is given beyond its limit: five times what the slowest lines take (bars with a loss in each)."""
MAX_HASHED: Final = 8 * 2**20
"""Bytes of a run up to which they are looked up by their digest before they are judged; a longer log is read only once."""


@dataclass(frozen=True, slots=True)
class Pages:
    """Where the HTML pages go."""

    folder: Path
    lang: str
    redact: bool


@dataclass(frozen=True, slots=True)
class Work:
    """What is done to every run. `limit`: seconds that a small one may take (0: as long as it likes)."""

    options: Options
    limit: float = 0.0
    lines: bool = False
    redact: bool = True
    pages: Pages | None = None
    with_body: bool = True
    whole: bool = False
    """Whether curves are wanted with all their points, for the tables."""

    @property
    def with_lines_or_pages(self) -> bool:
        """Whether a known card is not enough, and the document is drawn again."""
        return self.lines or self.pages is not None


@dataclass(frozen=True, slots=True)
class Task:
    """One run: its files, and its document where it is known already."""

    files: RunFiles
    page: str = ""
    body: bytes = b""
    written_at: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one run: `content` is the digest of its files' names and bytes, `body` the compressed document,
    `whole` metric → its steps, values and lines, all of them, where the work asks for them.
    """

    files: RunFiles
    card: Card
    content: bytes = b""
    body: bytes = b""
    line: str = ""
    row: Row | None = None
    whole: Mapping[str, Samples] = field(default_factory=dict)


class LateError(BaseException):
    """A run took longer than it may. No `Exception`: rules and readers that fail are isolated by catching those."""


def perform(task: Task, work: Work) -> Result:
    """Does one run's work; what it raises becomes its error unless `work.options.strict`."""
    from parsers import UnreadableError

    try:
        with _limited(allowed(task.files, work)):
            known = _known(task) if task.body else None
            if known is not None:
                drawn = _drawn(task, work, known)
                return replace(drawn, whole=_points(known)) if work.whole else drawn
            task = replace(task, body=b"")
            run, diagnosis = _judged(task.files, work.options)
            drawn = _drawn(task, work, diagnosis)
            return replace(drawn, whole=_whole(run, diagnosis)) if work.whole else drawn
    except LateError:
        return failed(task, work, late(task.files, work))
    except UnreadableError as error:
        return failed(task, work, str(error))
    except AnalyzerError:  # the place for the pages, not the run
        raise
    except MemoryError:
        return failed(task, work, "needs more memory than there is")
    except Exception as error:
        if work.options.strict:
            raise
        return failed(task, work, f"{type(error).__name__}: {error}")


def allowed(files: RunFiles, work: Work) -> float:
    """Seconds that a run may take: the limit, and more for a large one. 0 where there is no limit."""
    return work.limit and work.limit + SLOWEST * (_size(files) // 1_000_000)


def _size(files: RunFiles) -> int:
    """Bytes of the run's files, as far as they can be told."""
    told = 0
    for file, mark in zip(files.files, files.marks or ("",) * len(files.files), strict=True):
        size = mark.partition(" ")[0]
        try:
            told += int(size) if size.isdecimal() else os.stat(file).st_size
        except (OSError, ValueError):
            continue
    return told


def late(files: RunFiles, work: Work) -> str:
    """What is said of a run that took longer."""
    return f"took longer than {allowed(files, work):g} s: raise --timeout to let it finish"


def failed(task: Task, work: Work, error: str) -> Result:
    """The row of a run that could not be judged."""
    line = _line(unread_document(task.files.root, error), work) if work.lines else ""
    row = None
    if work.pages:
        from analyzer.output.index import index_row
        from analyzer.output.redact import redact_row

        row = index_row(task.files.root, "", None, error, work.pages.lang)
        row = redact_row(row) if work.pages.redact else row
    return Result(task.files, unread(task.files.root, error), line=line, row=row)


def _judged(files: RunFiles, options: Options) -> tuple[Run, Diagnosis]:
    from analyzer.batch.remote import is_url, staged
    from analyzer.diagnosis import examine

    if any(map(is_url, files.files)):
        with staged(files) as (local, place):
            run, diagnosis = _judged(local, options)
            return run, relocated(diagnosis, {place: base(files)}, files.root)
    run, diagnosis = examine(files.files, options)
    return run, replace(diagnosis, run=replace(diagnosis.run, source=files.root))


def _whole(run: Run, diagnosis: Diagnosis) -> dict[str, Samples]:
    tracks = {track.metric: track for track in reversed(run.tracks)}  # the first of a metric is it
    wanted = (tracks[one.metric] for one in diagnosis.run.curves)
    return {track.metric: (track.steps, track.values, track.lines) for track in wanted}


def _points(known: Diagnosis) -> dict[str, Samples]:
    """The same of a diagnosis that was kept with all its points."""
    return {one.metric: (one.steps, one.values, one.lines) for one in known.run.curves}


def _known(task: Task) -> Diagnosis | None:
    """The diagnosis that was kept, None where it is damaged: then the run is judged again."""
    try:
        diagnosis = unpacked(task.body)
    except Exception:
        return None
    if task.written_at == task.files.root:
        return diagnosis
    here = base(task.files)
    return relocated(diagnosis, {base_of(task.written_at, task.files): here}, task.files.root)


def _drawn(task: Task, work: Work, diagnosis: Diagnosis) -> Result:
    body = packed(diagnosis) if not task.body and work.with_body else task.body
    content = b"" if task.body else content_of(task.files, diagnosis.run)
    line = _line(diagnosis, work) if work.lines else ""
    row = _page(task, work.pages, diagnosis) if work.pages else None
    return Result(task.files, card(diagnosis), content, body, line, row)


def _line(diagnosis: Diagnosis, work: Work) -> str:
    from analyzer.output import document
    from analyzer.output.redact import redact

    return document.dumps(redact(diagnosis)[0] if work.redact else diagnosis, indent=None, with_curves=False)


def _page(task: Task, pages: Pages, diagnosis: Diagnosis) -> Row:
    from analyzer.output import html
    from analyzer.output.index import index_row
    from analyzer.output.redact import redact, redact_row
    from analyzer.writing import write

    shown, redacted = redact(diagnosis) if pages.redact else (diagnosis, None)
    page = pages.folder / task.page
    write(page, html.render(shown, lang=pages.lang, redacted=redacted, shared_bundle=True))
    row = index_row(task.files.root, task.page, shown, lang=pages.lang)
    return redact_row(row) if pages.redact else row


def unread_document(root: str, error: str) -> Diagnosis:
    """A run that could not be read, as a document of its own: unjudged, with the reason among its problems."""
    run = RunSummary(
        source=root, files=(), readers=(), first_step=None, last_step=None, planned_steps=None, step_source="none",
        curves=(), packages={}, config={}, hardware={}, arguments={}, environment_refs={}, outcome="unknown", verdict="unjudged",
    )  # fmt: skip
    return Diagnosis(run, problems=((SourceRef(root, 0), "source", error),))


def base(files: RunFiles) -> str:
    """The folder that a run's files are named below: its root, or the root's folder where that is a log."""
    return os.path.dirname(files.root) if files.root in files.files else files.root


def base_of(root: str, files: RunFiles) -> str:
    """The folder that the same files were named below when the run stood at `root`."""
    return os.path.dirname(root) if files.root in files.files else root


def relative(files: RunFiles) -> list[str]:
    """The files' names below the run's folder."""
    folder = base(files)
    return [_below(file, folder) for file in files.files]


def _below(path: str, folder: str) -> str:
    """`os.path.relpath`, without its cost where the path is plain."""
    start = folder.rstrip("/") + "/"
    is_plain = path.startswith(start) and path[-1:] != "/" and "//" not in path and "/." not in path and path[:1] != "."
    return path[len(start) :] if is_plain else os.path.relpath(path, folder)


def content_of(files: RunFiles, run: RunSummary) -> bytes:
    """The digest of names and bytes, b'' where a file of the run was not read (its bytes are not known)."""
    digests = {file.path: file.digest for file in run.files}
    if any(file not in digests for file in files.files):
        return b""
    return _content(files, [digests[file] for file in files.files])


def content_on_disk(files: RunFiles) -> bytes:
    """The same from the files themselves, where they are small enough to be worth it; b'' where they are not."""
    try:
        if sum(os.stat(file).st_size for file in files.files) > MAX_HASHED:
            return b""
        digests = []
        for path in files.files:
            with open(path, "rb") as file:
                digests.append(f"sha256:{hashlib.sha256(file.read()).hexdigest()}")
    except (OSError, ValueError):
        return b""
    return _content(files, digests)


def _content(files: RunFiles, digests: Sequence[str]) -> bytes:
    text = "\n".join(f"{name}\0{digest}" for name, digest in zip(relative(files), digests, strict=True))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def relocated(diagnosis: Diagnosis, move: Mapping[str, str], root: str) -> Diagnosis:
    """The diagnosis of the same files in another folder: places are renamed, quoted text stays as it is."""
    from analyzer.output import document

    return document.loads(json.dumps(_renamed(document.document(diagnosis), move, root)))


def _renamed(value: Any, move: Mapping[str, str], root: str) -> Any:
    if isinstance(value, dict):
        return {key: _place(key, item, move, root) for key, item in value.items()}
    return [_renamed(item, move, root) for item in value] if isinstance(value, list) else value


def _place(key: str, value: Any, move: Mapping[str, str], root: str) -> Any:
    if key == "source" and isinstance(value, str):
        return root
    if key in ("file", "path") and isinstance(value, str):
        return moved(value, move)
    if key == "files" and isinstance(value, list):
        return [moved(item, move) if isinstance(item, str) else item for item in value]
    return _renamed(value, move, root)


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raises LateError inside when the time is over. Only where signals reach: the main thread of a POSIX process."""
    if not seconds or not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def late(*_: object) -> None:
        raise LateError

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def performed(tasks: Sequence[Task], work: Work) -> list[Result]:
    """The results of several runs, in their order."""
    return [perform(task, work) for task in tasks]
