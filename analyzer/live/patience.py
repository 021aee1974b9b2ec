"""Findings that are too young: a prefix of a healthy run can look like a failure that the whole run does not have.

- *Search*: while the loss scaler looks for its first scale, gradient norms of 0, `nan` or `inf` and learning rates of 0 are
  normal, and the log need not say that it looks.
- *Trends* (memory, throughput, a rising loss) need some more records before they are said.
- *Messages of failure* are said when nothing follows them: a program may catch an exception and train on.
"""

from __future__ import annotations

import math
from typing import Final

from analyzer import scaler
from analyzer.model import Finding
from parsers import Run, metrics

SEARCHING: Final = frozenset({"grad-zero", "lr-zero", "grad-nan"})
MAX_SEARCH: Final = 64
"""Skips in a row that a search may take: from 2^32 down to 1, twice for hysteresis."""
TRENDS: Final = frozenset(
    {"memory-creep", "throughput-drop", "no-progress", "overfitting", "divergence", "lr-anomaly", "loss-inflated",
     "loss-spike", "grad-explosion", "stall"}
)  # fmt: skip
MACHINE: Final = frozenset({"throughput-drop", "memory-creep"})
"""Trends of the machine rather than of the training: somebody else's job may slow down fifty short steps."""
MIN_SECONDS: Final = 60.0
MIN_MORE: Final = 5
SHARE_MORE: Final = 0.1
"""Further records that a trend must hold for: this share of those before, at least `MIN_MORE`."""
LONGER: Final = {"lr-anomaly": 2.5, "no-progress": 1.0}
"""The same where more is needed: a schedule that starts again may do so the second time after twice as long; an adapter may need
as many records as there were before its loss falls at all."""
MIN_FLAT: Final = 20
"""Further records for which gradients of 0 that are only a warning must hold: all answers of a batch may get the same reward."""
SETTLE: Final = 1.0
"""Seconds beyond the usual interval after which nothing seems to follow a message."""
MESSAGES: Final = frozenset(
    {"checkpoint-failure", "communication-error", "config-error", "dataloader-crash", "dependency-error", "device-assert",
     "disk-full", "interrupted", "killed-by-signal", "oom-cuda", "rank-failure", "traceback"}
)  # fmt: skip
"""Rules whose messages a program may survive, or a launcher that starts it again."""
NEVER: Final = frozenset({"incomplete"})
"""What is true of every run that goes on."""


class Patience:
    """Decides which findings of a judgement are old enough to be said."""

    def __init__(self) -> None:
        self._since: dict[str, tuple[int, float]] = {}

    def ripe(
        self, run: Run, findings: tuple[Finding, ...], records: int, now: float, silence: float, usual: float | None
    ) -> list[Finding]:
        """`records`: of the run so far; `silence`: seconds since the last one; `usual`: seconds between two, if known."""
        self._since = {f.rule: self._since.get(f.rule, (records, now)) for f in findings}
        search = _search(run) if any(f.rule in SEARCHING for f in findings) else -1
        is_quiet = silence >= SETTLE + (usual or 0.0)
        return [f for f in findings if self._is_ripe(f, records, now, search, is_quiet)]

    def _is_ripe(self, finding: Finding, records: int, now: float, search: int, is_quiet: bool) -> bool:
        rule = finding.rule
        if rule in NEVER or (rule in SEARCHING and (finding.first_step or 0) <= search):
            return False
        if rule in MESSAGES:
            return is_quiet
        since, moment = self._since[rule]
        if rule in MACHINE and now - moment < MIN_SECONDS:
            return False
        if rule == "grad-zero" and finding.severity == "warning" and records - since < MIN_FLAT:
            return False
        return rule not in TRENDS or records - since >= max(MIN_MORE, LONGER.get(rule, SHARE_MORE) * since)


def _search(run: Run) -> int:
    """The step up to which what began is the scaler's search, -1 where the search is over or there is none.

    A run whose first steps were skipped, or one of which only the first steps are known while its loss is a good number.
    """
    skips, first = scaler.skips(run), run.first_step or 0
    loss = run.series(metrics.LOSS)
    last = loss or run.series(metrics.GRAD_NORM) or run.series(metrics.LR)
    end = max([skip.step for skip in skips[-1:]] + ([last.steps[-1]] if last is not None and len(last) else [first]))
    is_good = loss is not None and len(loss) > 0 and math.isfinite(loss.values[-1]) and loss.values[-1] != 0
    if is_good and end <= first + MAX_SEARCH:
        return first + 2 * _pace(run)
    search = scaler.stretches(skips, first)[0] if skips else None
    is_on = search is not None and search.is_search and search.length <= MAX_SEARCH
    return end if search is not None and is_on and end <= search.skips[-1].step + 2 * _pace(run) else -1


def _pace(run: Run) -> int:
    """Steps between two records."""
    series = run.series(metrics.LOSS) or run.series(metrics.LR)
    return max(1, series.steps[-1] - series.steps[-2]) if series is not None and len(series) > 1 else 1
