"""`analyze watch`: follows runs until they end, says what changes, acts where it was asked to, and has the last word.

The kernel says when a file grew (`wake`); on network file systems, where nobody is told that another machine wrote, files
are looked at several times a second while they grow and once a second while they are still.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from analyzer.diagnosis import Options
from analyzer.errors import UsageError
from analyzer.live import follow
from analyzer.live.actions import Actions, Plan
from analyzer.live.last_word import SUFFIXES, WORDS, Reason, code, report
from analyzer.live.policy import Policy
from analyzer.live.prometheus import Listener
from analyzer.live.session import Session
from analyzer.live.view import JsonView, LiveView, PlainView, View
from analyzer.live.wake import SLOW, Waker
from analyzer.model import Diagnosis
from analyzer.output import document
from analyzer.output.redact import redact
from parsers import UnreadableError
from parsers.discover import RunFiles

RESCAN: Final = 5.0
"""Seconds between two looks into folders for files that are new; folders that are slow to read are looked into less often."""
SOON: Final = 0.5
"""The same where the kernel said that something appeared."""


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
    wakes: int = -1
    """A descriptor that can be read when `is_done` should be asked again."""


class Watcher:
    """The loop and its state. `clock` is a monotonic clock."""

    def __init__(self, wish: Watch, view: View, clock: Callable[[], float] = time.monotonic) -> None:
        self._wish = wish
        self._view = view
        self._clock = clock
        self._end = wish.plan.target.opened() if wish.plan.target else -1
        self._waker = Waker(fd for fd in (wish.wakes, self._end) if fd >= 0)
        self.actions = Actions(wish.plan, view.say)
        self.sessions: list[Session] = []
        self.problems: list[str] = []
        """Why files could not be judged at the end."""
        self._listener = Listener(wish.listen) if wish.listen else None
        self._scanned = -1e9
        self._every = RESCAN
        self._began = clock()
        self._is_settled = False

    def loop(self) -> Reason:
        """Watches until there is a reason to end."""
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
            self._settle()
            if not any(session.follower.behind for session in self.sessions):
                dues = [due for session in self.sessions if (due := session.due(now)) is not None]
                self._waker.wait(busy, min(dues, default=None))

    def _settle(self) -> None:
        """Once all is loaded: collections need not look at it any more."""
        if not self._is_settled and any(session.run for session in self.sessions):
            self._is_settled = True
            gc.collect()
            gc.freeze()

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
        self._waker.close()
        if self._end >= 0:
            os.close(self._end)
        if self._listener:
            self._listener.close()
        return found

    def _scan(self, now: float) -> None:
        """Looks for runs and files that were not there before."""
        if now - self._scanned < (min(self._every, SOON) if self._waker.has_news else self._every):
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
        self._waker.mind([*self._wish.paths, *(path for session in self.sessions for path in session.follower.files)])
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
    if wish.report is not None and wish.report.suffix not in SUFFIXES:
        raise UsageError(f"--report {wish.report}: end it in .html, .json or .md.")
    view = view_of(wish.format, wish.redact, wish.lang)
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


def view_of(form: str, redacts: bool, lang: str = "en") -> View:
    """The view of a form: `auto` is the live view on a terminal and plain lines elsewhere."""
    if form == "jsonl":
        return JsonView(redacts)
    if form == "live" or (form == "auto" and sys.stdout.isatty()):
        return LiveView(lang=lang)
    return PlainView(lang=lang)


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
