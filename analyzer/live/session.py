"""One run that is watched: reads what is new, judges it when it is worth its cost, and says what changed."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Final

from analyzer.diagnosis import Options
from analyzer.live.early import early
from analyzer.live.follow import Follower
from analyzer.live.judging import Judging
from analyzer.live.ledger import Change, Ledger
from analyzer.live.pace import Pace
from analyzer.live.patience import SETTLE, Patience
from analyzer.live.rhythm import WORSE, Rhythm
from analyzer.model import Evidence, Finding, Outcome, ordered
from analyzer.outcome import outcome
from analyzer.symptoms import Symptoms
from parsers import Run, SourceRef, UnreadableError
from parsers.discover import RunFiles

HUSH: Final = 0.5
"""Seconds without a byte after which the end of what was read is looked at for a stack that is half said."""
MANY: Final = 500
"""Records of a run from which on NumPy's tenth of a second, once, is worth its while."""
ENDED: Final[dict[Outcome, float]] = {"completed": 3.0, "crashed": 60.0, "killed": 60.0, "stopped": 10.0}
"""Seconds of silence after which a run whose log tells its end is over: a launcher may start a failed one again."""


class Session:
    """A run's follower, its ledger of findings and its rhythm. All times are of one monotonic clock, in seconds."""

    def __init__(self, files: RunFiles, now: float, options: Options | None = None, stall: float | None = None) -> None:
        self.follower = Follower(files, options)
        self.ledger = Ledger()
        self.rhythm = Rhythm(stall)
        self.run: Run | None = None
        self._options = options or Options()
        self._pace = Pace(now)
        self._patience = Patience()
        self._began = now
        self._changed = now
        self._beats = 0
        self._alarms = 0
        self._is_stale = False
        self._is_settling = False
        self._is_heard = True  # the end of what was read was looked at
        self._is_warm = False  # the first judgement loads the rules, which is paid once in the process's life
        self._is_caught_up = False
        self._restarts = 0
        self._judging: Judging | None = None
        self.clock: Callable[[], float] = time.thread_time
        """What the work of this thread is measured with."""

    @property
    def root(self) -> str:
        """The run's name: its only log, or its folder."""
        return self.follower.root

    @property
    def records(self) -> int:
        """Records of the longest metric at the last judgement."""
        return max((len(track) for track in self.run.tracks), default=0) if self.run else 0

    def silence(self, now: float) -> float:
        """Seconds since anything was written."""
        return max(0.0, now - self._changed)

    def look(self, now: float, is_over: bool = False) -> list[Change]:
        """Reads what is new and says what changed. `is_over`: the program is gone, nothing more will come.

        Garbage is collected between looks: to go through everything that is loaded takes longer than all else.
        """
        collects = gc.isenabled()
        gc.disable()
        try:
            return self._looked(now, is_over)
        finally:
            if collects:
                gc.enable()

    def _looked(self, now: float, is_over: bool) -> list[Change]:
        grew = self.follower.poll()
        if grew:
            self._changed = now
            self._is_stale, self._is_heard = True, False
        self._feel(now)
        if self.follower.behind and not is_over:
            return []
        stalls = self.rhythm.stall(now) is not None
        is_quiet = self._quiet_in(now) <= 0
        if is_quiet and not self._is_heard:
            self._is_heard, self._is_settling = True, self._is_settling or self.follower.has_half_said
        settled = (self._is_settling or self._is_stale) and is_quiet
        is_urgent = settled or is_over or self.follower.alarms != self._alarms or stalls
        if self._judging is not None and not is_urgent:
            return self._go_on(now)
        if not (self._is_stale or settled or is_over or stalls != self._stalls()):
            self._is_caught_up = self._is_caught_up or self.follower.exists
            return []
        if not self._pace.allows(now, is_urgent, is_last=settled) and not is_over:
            return self._go_on(now)
        return self._judge(now, is_over, settled, is_urgent)

    def due(self, now: float) -> float | None:
        """Seconds until a look is worth while although nothing more comes; None where there is nothing to wait for."""
        if self._judging is not None:
            return 0.0
        return max(0.0, self._quiet_in(now)) if self._is_settling or not self._is_heard else None

    def ended(self, now: float) -> bool:
        """Whether the log tells the run's end and nothing came since, long enough to believe it."""
        if self.run is None or self._is_stale or self._judging is not None:
            return False
        limit = ENDED.get(outcome(self.run))
        return limit is not None and self.silence(now) >= limit

    def _quiet_in(self, now: float) -> float:
        """Seconds until nothing seems to follow what came last."""
        return max(SETTLE + (self.rhythm.usual or 0.0) - self.rhythm.silence(now), HUSH - self.silence(now))

    def _feel(self, now: float) -> None:
        """Takes the pulse: records that came since the last look. What was there before is no rhythm."""
        if self.follower.restarts != self._restarts:
            self._restarts, self._beats, self._alarms = self.follower.restarts, 0, 0
        beats = self.follower.beats
        if beats != self._beats:
            self.rhythm.beat(now, is_live=self._is_caught_up)
            self._beats = beats
        if not self.follower.behind and self.follower.exists:
            self._is_caught_up = True

    def _judge(self, now: float, is_over: bool, settled: bool, is_urgent: bool) -> list[Change]:
        """`settled`: nothing follows for the moment, so a stack that is half printed counts as it stands."""
        begun = self.clock()
        if self.records > MANY:
            import numpy  # noqa: F401 (what stands at `sys.modules` is used for long columns, never imported for them)
        try:
            run = self.follower.run(is_over or settled)
        except UnreadableError:
            self._is_stale, self._judging = False, None
            return []
        if run.last_step is not None:
            self.rhythm.count(now, run.last_step)
        self._judging = Judging(run, self._options.wishes, is_over, settled)
        self._alarms, self._is_stale = self.follower.alarms, False
        spent = self.clock() - begun
        if self._judging.is_long and self._is_warm and not is_urgent:  # to take the run's state was enough for this look
            self._pace.pay(spent)
            return []
        return self._go_on(now, is_urgent, spent)

    def _go_on(self, now: float, is_whole: bool = False, spent: float = 0.0) -> list[Change]:
        """Takes the judgement under way further, to its end if `is_whole`. `spent`: seconds that this look took already."""
        if self._judging is None:
            return []
        begun, judging = self.clock(), self._judging
        found = judging.go_on(is_whole)
        changes = self._concluded(now, judging, found) if found else []
        if self._is_warm:
            self._pace.pay(self.clock() - begun + spent)
        if found:
            self._judging, self._is_warm = None, True
        return changes

    def _concluded(self, now: float, judging: Judging, found: Symptoms) -> list[Change]:
        self.run = judging.run
        findings = tuple(f for f in found.weighted(self._options.project) if f.severity != "info")
        silence = 1e9 if judging.is_over else self.rhythm.silence(now)
        ripe = self._patience.ripe(self.run, findings, self.records, now, silence, self.rhythm.usual)
        # Once in a silence: nothing will be different until something new comes.
        self._is_settling = len(ripe) < len(findings) and not judging.settled
        stall = self._stall(now) if not judging.is_over else None
        if stall is not None:
            ripe = [f for f in ripe if f.rule != "stall"] + [stall]
        signs = [] if judging.is_over else early(self.run)
        return self.ledger.update(ordered(ripe), signs, self.records)

    def _stalls(self) -> bool:
        return any(entry.finding.facts.get("live") for entry in self.ledger.standing)

    def _stall(self, now: float) -> Finding | None:
        """A silence out of the run's own rhythm, as a finding."""
        seconds, run = self.rhythm.stall(now), self.run
        tracks = [track for track in run.tracks if len(track)] if run else []
        if seconds is None or not tracks or run is None or outcome(run) != "unknown":
            return None
        last = max(tracks, key=lambda track: (track.steps[-1], track.lines[-1]))
        usual, limit = self.rhythm.usual, self.rhythm.limit or 0.0
        ref = last.ref(len(last) - 1)
        pace = f"usually a record comes every {usual:.3g} s" if usual else f"the limit is {limit:.3g} s"
        return Finding(
            "stall", "critical" if seconds >= WORSE * limit else "warning", "medium",
            f"nothing new since step {last.steps[-1]}, {seconds:.0f} s ago; {pace}",
            (Evidence(SourceRef(ref.file, ref.line, ref.text), "last record"),),
            last.steps[-1], last.steps[-1],
            {"seconds": round(seconds, 1), "usual_seconds": round(usual, 3) if usual else None, "live": True},
        )  # fmt: skip
