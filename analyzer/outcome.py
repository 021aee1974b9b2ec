"""How the run ended, and the verdict about it. Severity is about findings, the verdict about the run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from analyzer.incidents import Incident, Incidents, is_root
from analyzer.model import Finding, Match, Outcome, Verdict
from parsers import Run, kinds

_KILLS: Final = frozenset({kinds.SIGNAL, kinds.SCHEDULER, kinds.HOST_OOM})
_INSIDE: Final = frozenset({"SIGABRT", "SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE"})
"""Signals of a process's own making: it crashed, nobody killed it."""

_WAITS: Final = frozenset({kinds.COLLECTIVE_TIMEOUT, kinds.COMMUNICATION_ERROR})
"""Failures after which a process may hang until somebody ends it."""


def outcome(run: Run) -> Outcome:
    """What the log says about the run's end. A crash before a later attempt is history; a caught exception is none."""
    incidents = Incidents(run)
    fatal = [one for one in incidents.all if one.fate == "fatal" and not one.event.data.get("is_collateral")]
    fatal = [one for one in fatal if one.event.kind != kinds.HARDWARE and not one.event.data.get("is_software")]
    if fatal:
        return _ended(fatal, incidents)
    if run.events_of(kinds.RUN_END, kinds.PROCESS_OK):
        return "completed"
    if run.planned_steps and run.last_step is not None and run.last_step >= run.planned_steps:
        return "completed"
    return "unknown"


def _ended(fatal: Sequence[Incident], incidents: Incidents) -> Outcome:
    stop = incidents.stop_of(fatal[-1].attempt)
    if stop is not None and not any(_is_after(one, stop, incidents) for one in fatal):
        return "stopped"
    roots = [one for one in fatal if is_root(one) and one.event.kind not in _WAITS] or [one for one in fatal if is_root(one)]
    if roots and _is_kill(roots[0]):
        return "killed"
    return "crashed"


def _is_after(one: Incident, stop: Incident, incidents: Incidents) -> bool:
    """Whether a failure that is no part of stopping came after the user's Ctrl-C: another start that failed."""
    return is_root(one) and one.event.kind != kinds.INTERRUPTED and one.place > stop.place and not incidents.is_collateral(one)


def _is_kill(one: Incident) -> bool:
    if one.event.kind == kinds.CHILD_FAILED:
        return one.text("signal") == "SIGKILL"
    return one.event.kind in _KILLS and one.text("signal") not in _INSIDE


def verdict(run: Run, findings: Sequence[Finding], causes: Sequence[Match] = ()) -> Verdict:
    """failed: something critical. suspicious: a warning. healthy: neither, in a run with metrics. Else unjudged.

    A log without metrics that was ended by the user, or in which a known cause was recognised by its message, is
    suspicious: something was understood, and nothing of it says that all is well.
    """
    if any(finding.severity == "critical" for finding in findings):
        return "failed"
    if any(finding.severity == "warning" for finding in findings):
        return "suspicious"
    if not run.tracks:
        return "suspicious" if causes or findings else "unjudged"
    return "healthy"
