"""Metrics that a training process logs → the same rules, judged beside the training in a thread of their own.

`log` takes a dict and comes back in microseconds. Every record is also a line of a log file, so that each finding can
point at its line and `analyze` can judge the file again.
"""

from __future__ import annotations

import atexit
import json
import math
import os
import threading
import time
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Literal, TextIO

from analyzer.callbacks.surroundings import surroundings
from analyzer.diagnosis import Options, judge
from analyzer.live.last_word import report
from analyzer.live.ledger import Ledger
from analyzer.live.pace import Pace
from analyzer.live.patience import Patience
from analyzer.model import Diagnosis, Finding
from analyzer.symptoms import symptoms
from parsers import Row, Run, SourceFile, SourceRef
from parsers.assemble import assemble
from parsers.growing_text import copied, is_alarming
from parsers.model import Event, Fact, RowKind
from parsers.table import Tables

OnCritical = Literal["warn", "stop", "raise"]
READER: Final = "in_process"
MAX_ROWS: Final = 200_000
"""Records that are kept in memory, some 15 MB: of a longer run the file holds the rest."""
PAUSE: Final = 0.05
"""Seconds between two looks whether there is something new to judge."""
_ASIDE: Final = frozenset({"epoch", "step", "total_flos", "train_runtime", "train_samples_per_second"})


class CriticalFindingError(RuntimeError):
    """A critical finding, where `on_critical="raise"`: the training goes no further."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(f"{finding.rule}: {finding.summary}")
        self.finding = finding


class Monitor:
    """Judges one training process's metrics while it runs.

    `on_critical`: `warn` prints a warning, `stop` sets `should_stop`, `raise` raises CriticalFindingError out of the next
    `check` or `log`. `after`: further records for which a finding must stand before it counts. Only rank 0 acts: on
    other ranks every method returns at once.
    """

    def __init__(
        self, folder: str | Path = ".", *, on_critical: OnCritical = "warn", rank: int | None = None, after: int = 0,
        report: bool = True, options: Options | None = None,
    ) -> None:  # fmt: skip
        if on_critical not in ("warn", "stop", "raise"):
            raise ValueError(f"on_critical={on_critical!r}: warn, stop or raise")
        self.is_active = (int(os.environ.get("RANK", "0") or 0) if rank is None else rank) == 0
        self.should_stop = False
        self.finding: Finding | None = None
        """The critical finding that was acted upon."""
        self.diagnosis: Diagnosis | None = None
        """The last judgement, once the training has ended."""
        self.folder = Path(folder)
        self._on_critical = on_critical
        self._after = after
        self._reports = report
        self._options = options or Options()
        self._ledger, self._patience, self._pace = Ledger(), Patience(), Pace(time.monotonic())
        self._facts: list[Fact] = []
        self._events: list[Event] = []
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_urgent = False
        self._judged = 0
        self._line = self._bytes = 0
        self._file: TextIO | None = None
        self._path = self.folder / "nanalyze.jsonl"
        self._tables = Tables(str(self._path))

    def begin(self, arguments: Mapping[str, Any] | None = None, deepspeed: Any = None, planned_steps: int | None = None) -> None:
        """The training begins: what is known about it, and the log of this process."""
        if not self.is_active or self._thread is not None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("w", encoding="utf-8")
        ref = SourceRef(str(self._path), 1, "the process's own environment")
        self._facts = surroundings(ref, arguments, deepspeed)
        if planned_steps and planned_steps > 0:
            self._facts.append(Fact("run:planned_steps", planned_steps, ref))
        self._write({"nanalyze": "begin", "facts": {fact.key: fact.value for fact in self._facts}})
        self._thread = threading.Thread(target=self._judge_on, daemon=True, name="nanalyze-monitor")
        self._thread.start()
        atexit.register(self.end)

    def log(self, values: Mapping[str, Any], step: int, kind: RowKind = "train") -> None:
        """One record of metrics. Numbers, and what `float` takes (a tensor of one element); everything else is left out.

        Raises CriticalFindingError where that was asked for and something critical was found.
        """
        if not self.is_active or self._done.is_set():
            return
        if self._thread is None:
            self.begin()
        found = tuple((name, number) for name, value in values.items() if (number := _number(value)) is not None)
        if not any(name not in _ASIDE for name, _ in found):
            return
        with self._lock:
            line = self._write({"step": step, **{n: v if math.isfinite(v) else str(v) for n, v in found}})
            row = Row(line, found, step, kind, None, time.time())
            if self._tables.seq < MAX_ROWS:
                self._tables.add(READER, row)
            self._is_urgent = self._is_urgent or bool(is_alarming(row))
        self.check()

    def check(self) -> None:
        """Raises what was found since, where that was asked for; the report is written before."""
        if self._on_critical == "raise" and self.finding is not None and not self._done.is_set():
            self.end()
            raise CriticalFindingError(self.finding)

    def end(self) -> Diagnosis | None:
        """The training has ended: the last judgement, and the report beside the log. None on other ranks.

        Called when the process ends, where nobody did before: a trainer that raises does not tell its callbacks.
        """
        if not self.is_active or self._thread is None or self._done.is_set():
            return self.diagnosis
        self._done.set()
        atexit.unregister(self.end)
        self._thread.join(30)
        if self._file is not None:
            self._file.close()
        self.diagnosis = judge(self._run(), self._options)
        if self._reports:
            report(self.folder / "nanalyze.html", self.diagnosis)
        return self.diagnosis

    def _write(self, what: Mapping[str, Any]) -> int:
        text = json.dumps(what, ensure_ascii=False, default=str) + "\n"
        if self._file is not None:
            try:
                self._file.write(text)
                self._file.flush()
            except OSError as error:  # a full disk: the training goes on, judged from memory
                warnings.warn(f"nanalyze: {self._path} cannot be written any more ({error.strerror})", stacklevel=1)
                with suppress(OSError):
                    self._file.close()  # it still holds what could not be written
                self._file = None
        self._bytes += len(text.encode())
        self._line += 1
        return self._line

    def _run(self) -> Run:
        """The run as it stands."""
        with self._lock:
            tables = copied(self._tables)
            file = SourceFile(str(self._path), self._bytes, self._line, "")
        return assemble(str(self._path), [file], {READER}, [tables], self._events, self._facts, [], [])

    def _judge_on(self) -> None:
        while not self._done.wait(PAUSE):  # no wake-up by `log`: it would have to share the interpreter at once
            if self._tables.seq == self._judged or not self._pace.allows(time.monotonic(), self._is_urgent):
                continue
            self._judged, self._is_urgent = self._tables.seq, False
            begun = time.thread_time()
            try:
                self._judge()
            except Exception as error:  # watching must never end the training
                warnings.warn(f"nanalyze: judging failed ({type(error).__name__}: {error})", stacklevel=1)
                return
            self._pace.pay(time.thread_time() - begun)

    def _judge(self) -> None:
        run = self._run()
        found = symptoms(run, self._options.wishes).weighted(self._options.project)
        records = max((len(track) for track in run.tracks), default=0)
        ripe = self._patience.ripe(run, tuple(f for f in found if f.severity != "info"), records, time.monotonic(), 0.0, None)
        for change in self._ledger.update(ripe, (), records):
            if change.kind == "found":
                warnings.warn(
                    f"nanalyze: {change.finding.severity}: {change.finding.rule}: {change.finding.summary}", stacklevel=1
                )
        for entry in self._ledger.standing:
            is_due = entry.finding.severity == "critical" and records - entry.records >= self._after
            if is_due and self.finding is None and self._on_critical != "warn":
                self.finding, self.should_stop = entry.finding, True


def _number(value: Any) -> float | None:
    if isinstance(value, bool | str):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        return None
