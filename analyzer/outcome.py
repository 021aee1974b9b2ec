"""How the run ended, and the verdict about it. Severity is about findings, the verdict about the run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from analyzer.model import Finding, Outcome, Verdict
from parsers import Run, kinds

_CRASHES: Final = (
    kinds.CUDA_OOM, kinds.CHILD_FAILED, kinds.DEVICE_ASSERT, kinds.CONFIG_ERROR, kinds.DEPENDENCY_ERROR,
    kinds.SCALE_MINIMUM, kinds.CHECKPOINT_FAILURE, kinds.DISK_FULL, kinds.COLLECTIVE_TIMEOUT,
)  # fmt: skip
_KILLS: Final = (kinds.SIGNAL, kinds.SCHEDULER, kinds.HOST_OOM)


def outcome(run: Run) -> Outcome:
    """What the log says about the run's end; the last word counts (a crash before a resume is history)."""
    ended: Outcome = "unknown"
    for event in run.events:
        if event.kind in (kinds.RUN_START, kinds.RESUME):
            ended = "unknown"
        elif event.kind == kinds.RUN_END:
            ended = "completed"
        elif event.kind == kinds.INTERRUPTED:
            ended = "stopped"
        elif event.kind in _KILLS and not event.data.get("is_collateral"):
            ended = "killed"
        elif event.kind in _CRASHES and ended not in ("killed", "stopped"):
            ended = "crashed"
        elif event.kind == kinds.TRACEBACK and event.data.get("is_final") and ended in ("unknown", "completed"):
            ended = "crashed"
        elif event.kind == kinds.PROCESS_OK and ended == "unknown":
            ended = "completed"
    if ended == "unknown" and run.planned_steps and run.last_step and run.last_step >= run.planned_steps:
        return "completed"
    return ended


def verdict(run: Run, findings: Sequence[Finding]) -> Verdict:
    """failed: something critical. suspicious: a warning. healthy: neither, in a run with metrics. Else unjudged."""
    if any(finding.severity == "critical" for finding in findings):
        return "failed"
    if any(finding.severity == "warning" for finding in findings):
        return "suspicious"
    return "healthy" if run.tracks else "unjudged"
