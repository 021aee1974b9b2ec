"""Findings that are too young: a prefix of a healthy run can look like a failure that the whole run does not have.

- *Search*: while the loss scaler looks for its first scale, gradient norms and learning rates of 0 are normal.
- *Trends* (memory, throughput, a rising loss) need some more records before they are said.
- *Messages of failure* are said when nothing follows them: a program may catch an exception and train on.
"""

from __future__ import annotations

from typing import Final

from analyzer import scaler
from analyzer.model import Finding
from parsers import Run, metrics

SEARCHING: Final = frozenset({"grad-zero", "lr-zero"})
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
SETTLE: Final = 1.0
"""Seconds beyond the usual interval after which nothing seems to follow a message."""
MESSAGES: Final = frozenset(
    {"checkpoint-failure", "communication-error", "config-error", "dataloader-crash", "dependency-error", "device-assert",
     "disk-full", "interrupted", "oom-cuda", "traceback"}
)  # fmt: skip
"""Rules whose messages a program may survive."""
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
        is_searching = any(f.rule in SEARCHING for f in findings) and _is_searching(run)
        is_quiet = silence >= SETTLE + (usual or 0.0)
        return [f for f in findings if self._is_ripe(f, records, now, is_searching, is_quiet)]

    def _is_ripe(self, finding: Finding, records: int, now: float, is_searching: bool, is_quiet: bool) -> bool:
        rule = finding.rule
        if rule in NEVER or (rule in SEARCHING and is_searching):
            return False
        if rule in MESSAGES:
            return is_quiet
        since, moment = self._since[rule]
        if rule in MACHINE and now - moment < MIN_SECONDS:
            return False
        return rule not in TRENDS or records - since >= max(MIN_MORE, SHARE_MORE * since)


def _is_searching(run: Run) -> bool:
    """Whether every step so far was skipped, or the first scale was found only a moment ago."""
    skips = scaler.skips(run)
    if not skips:
        return False
    first = run.first_step or 0
    stretches = scaler.stretches(skips, first)
    last = run.series(metrics.LOSS) or run.series(metrics.GRAD_NORM) or run.series(metrics.LR)
    end = max(skips[-1].step, last.steps[-1] if last is not None and len(last) else 0)
    search = stretches[0]
    return search.is_search and search.length <= MAX_SEARCH and end <= search.skips[-1].step + 2 * _pace(run)


def _pace(run: Run) -> int:
    """Steps between two records."""
    series = run.series(metrics.LOSS) or run.series(metrics.LR)
    return max(1, series.steps[-1] - series.steps[-2]) if series is not None and len(series) > 1 else 1
