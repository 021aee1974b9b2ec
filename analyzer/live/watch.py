"""`analyze watch`: follows runs until they end, says what changes, acts where it was asked to, and has the last word.

Files are looked at with `stat`, several times a second while they grow and once a second while they are still: that
works on network file systems too, where the kernel tells nobody that another machine wrote.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from analyzer.diagnosis import Options
from analyzer.errors import FOUND, NOTHING, OK, UsageError
from analyzer.live import follow
from analyzer.live.actions import Actions, Plan
from analyzer.live.policy import Policy
from analyzer.live.prometheus import Listener
from analyzer.live.session import Session
from analyzer.live.view import JsonView, LiveView, PlainView, View
from analyzer.model import Diagnosis
from analyzer.output import document
from analyzer.output.redact import redact
from analyzer.writing import exit_code, write
from parsers import UnreadableError
from parsers.discover import RunFiles

STOPPED: Final = 5
QUIET: Final = 6
INTERRUPTED: Final = 130
Reason = Literal["ended", "gone", "stopped", "quiet", "missing", "interrupted"]
WORDS: Final[dict[Reason, str]] = {
    "ended": "the run is over",
    "gone": "the training process is gone",
    "stopped": "the training process was stopped",
    "quiet": "nothing new was written for as long as --max-wait allows",
    "missing": "the file did not appear within --max-wait",
    "interrupted": "interrupted",
}

FAST: Final = 0.2
SLOW: Final = 1.0
"""Seconds between two looks, while files grow and while they are still."""
RESCAN: Final = 5.0
"""Seconds between two looks into folders for files that are new; folders that are slow to read are looked into less often."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What the user asked for. `max_wait`: seconds without anything new after which watching ends."""

    paths: tuple[str, ...]
    plan: Plan = field(default_factory=Plan)
    policy: Policy = field(default_factory=Policy)
    options: Options = field(default_factory=Options)
    format: str = "auto"
    max_wait: float | None = None
    stall: float | None = None
    fail_on: str = "never"
    report: Path | None = None
    redact: bool = True
    lang: str = "en"
    listen: str = ""
    keeps_on: bool = False
    is_done: Callable[[], bool] | None = None
    """Whether the program that writes the files is gone, where somebody knows."""


class Watcher:
    """The loop and its state. `clock` and `sleep` are a monotonic clock's."""

    def __init__(
        self, wish: Watch, view: View, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._wish = wish
        self._view = view
        self._clock = clock
        self._sleep = sleep
        self.actions = Actions(wish.plan, view.say)
        self.sessions: list[Session] = []
        self.problems: list[str] = []
        """Why files could not be judged at the end."""
        self._listener = Listener(wish.listen) if wish.listen else None
        self._scanned = -1e9
        self._every = RESCAN
        self._began = clock()

    def loop(self) -> Reason:
        """Watches until there is a reason to end."""
        pause = FAST
        while True:
            now = self._clock()
            self._scan(now)
            is_over = self._is_gone()
            busy = False
            for session in list(self.sessions):
                busy = self._look(session, now, is_over) or busy
            self._view.show(self.sessions, now)
            if self._listener:
                self._listener.publish(self.sessions, now)
            reason = self._reason(now, is_over)
            if reason:
                return reason
            pause = FAST if busy else min(SLOW, pause * 1.3)
            if not any(session.follower.behind for session in self.sessions):
                self._sleep(pause)

    def finish(self) -> list[Diagnosis]:
        """The diagnoses of the files as they stand: of each run that anything was written of."""
        found = []
        for session in self.sessions:
            try:
                found.append(session.follower.final())
            except UnreadableError as error:
                self.problems.append(str(error))
            finally:
                session.follower.close()
        self.actions.close()
        if self._listener:
            self._listener.close()
        return found

    def _scan(self, now: float) -> None:
        """Looks for runs and files that were not there before."""
        if now - self._scanned < self._every:
            return
        begun = time.perf_counter()
        for files in follow.runs_at(self._wish.paths)[: follow.MAX_RUNS]:
            session = self._session_of(files)
            if session is None:
                self.sessions.append(Session(files, now, self._wish.options, self._wish.stall))
            else:
                session.follower.update(files)
                session.follower.root = files.root
        self._scanned = now
        self._every = max(RESCAN, 200 * (time.perf_counter() - begun))

    def _session_of(self, files: RunFiles) -> Session | None:
        """The session that follows this run already: a file in common, or what was waited for in its folder."""
        wanted = set(files.files)
        return next((one for one in self.sessions if wanted & set(one.follower.files) or one.root == files.root), None)

    def _look(self, session: Session, now: float, is_over: bool) -> bool:
        changes = session.look(now, is_over)
        while is_over and session.follower.behind:
            changes += session.look(now, is_over)
        if changes:
            self._view.changes(session, changes)
        self._act(session, is_over)
        return bool(changes) or session.silence(now) < SLOW

    def _act(self, session: Session, is_over: bool) -> None:
        """Commands and messages for what is due; at last the stop."""
        for entry in session.ledger.standing:
            if entry.acted or not self._wish.policy.wants(entry, session.records, is_over):
                continue
            entry.acted = True
            self.actions.tell(entry.finding, session.root, lambda: self._document(session, is_over))
            self.actions.stop(entry.finding)

    def _document(self, session: Session, is_over: bool) -> str:
        diagnosis = session.follower.so_far(is_over)
        return document.dumps(redact(diagnosis)[0] if self._wish.redact else diagnosis, with_curves=False)

    def _is_gone(self) -> bool:
        target, is_done = self._wish.plan.target, self._wish.is_done
        return (target is not None and not target.is_alive()) or (is_done is not None and is_done())

    def _reason(self, now: float, is_over: bool) -> Reason | None:
        if self.actions.has_stopped and (self._wish.plan.target is None or is_over):
            return "stopped"
        if is_over:
            return "gone"
        seen = [session for session in self.sessions if session.follower.exists]
        if seen and not self._wish.keeps_on and all(session.ended(now) for session in self.sessions):
            return "ended"
        limit = self._wish.max_wait
        if limit is not None and now - self._began >= limit and all(s.silence(now) >= limit for s in self.sessions):
            return "quiet" if seen else "missing"
        return None


def watch(wish: Watch) -> int:
    """Watches, prints, acts; the exit code says why it ended. Raises UsageError and UnreadableError for what cannot be."""
    follow.check(wish.paths)
    if wish.report is not None and wish.report.suffix not in (".json", ".html", ".md"):
        raise UsageError(f"--report {wish.report}: end it in .html, .json or .md.")
    view = view_of(wish.format, wish.redact)
    watcher = Watcher(wish, view)
    with _interruptible():
        try:
            reason = watcher.loop()
        except KeyboardInterrupt:
            reason = "interrupted"
    diagnoses = watcher.finish()
    for problem in watcher.problems:
        print(f"analyze: {problem}", file=sys.stderr)
    view.end(WORDS[reason], diagnoses)
    if wish.report is not None and diagnoses:
        report(wish.report, diagnoses[0], wish.redact, wish.lang)
    return code(reason, diagnoses, wish.fail_on)


def view_of(form: str, redacts: bool) -> View:
    """The view of a form: `auto` is the live view on a terminal and plain lines elsewhere."""
    if form == "jsonl":
        return JsonView(redacts)
    if form == "live" or (form == "auto" and sys.stdout.isatty()):
        return LiveView()
    return PlainView()


def code(reason: Reason, diagnoses: Sequence[Diagnosis], fail_on: str) -> int:
    """The exit code: who ended it, then what was found, then whether the run was over."""
    if reason == "interrupted":
        return INTERRUPTED
    if reason == "stopped":
        return STOPPED
    codes = {exit_code(one, fail_on) for one in diagnoses} or {NOTHING}
    if FOUND in codes:
        return FOUND
    if reason == "quiet":
        return QUIET
    return OK if OK in codes else max(codes)


def report(path: Path, diagnosis: Diagnosis, redacts: bool = True, lang: str = "en") -> None:
    """Writes a report; its suffix says which form."""
    shown, redacted = redact(diagnosis) if redacts else (diagnosis, None)
    if path.suffix == ".json":
        text = document.dumps(shown)
    elif path.suffix == ".md":
        from analyzer.output import markdown

        text = markdown.render(shown, lang=lang)
    else:
        from analyzer.output import html

        text = html.render(shown, lang=lang, redacted=redacted)
    write(path, text)
    print(f"{path}", file=sys.stderr)


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM and SIGHUP end the watching as Ctrl-C does: with a last report."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
