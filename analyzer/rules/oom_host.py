"""Host memory is exhausted: the kernel, a cgroup or the allocator says so, or a SIGKILL came when it was nearly full."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from analyzer.incidents import Incident, Incidents, cut, finding, where
from analyzer.model import Evidence, Finding
from analyzer.rule import Threshold, rule
from parsers import Event, Run, kinds

FULL: Final = Threshold(
    90.0,
    "Percent of the host's memory in use: the last report before a SIGKILL that makes the memory killer the likely sender.",
)


@rule(
    title="the host ran out of memory",
    severity="critical",
    events=(kinds.HOST_OOM, kinds.CHILD_FAILED, kinds.SIGNAL),
    thresholds={
        "full": FULL,
    },
)
def oom_host(run: Run) -> Iterator[Finding]:
    """Direct words first; without them a SIGKILL beside a report that memory was nearly full."""
    incidents = Incidents(run)
    found = incidents.of_kind(kinds.HOST_OOM)
    if found:
        first = found[0]
        facts = {key: value for key in ("process", "pid", "constraint", "sender", "rss") if (value := first.event.data.get(key))}
        yield finding("oom-host", found, _summary(first) + where(found), note="who says so", facts=facts)
        return
    killed = [one for one in incidents.of_kind(kinds.CHILD_FAILED, kinds.SIGNAL) if one.text("signal") == "SIGKILL"]
    report = _last_report(run, killed)
    if report is not None:
        yield _inferred(killed, report)


def _summary(first: Incident) -> str:
    sender, process = first.text("sender"), first.text("process")
    if sender in ("kernel", "slurm", "kubernetes", "ray", "pbs", "lsf"):
        limit = "the memory limit of its cgroup" if first.text("constraint") == "cgroup" else "the host's memory"
        who = f"{process} (pid {first.text('pid')})" if process else "a process"
        return f"{sender} killed {who} for exceeding {limit}"
    return f"an allocation in host memory failed: {cut(first.text('message'), 140)}"


def _last_report(run: Run, killed: Sequence[Incident]) -> Event | None:
    """The last memory report before the kill that says the host was nearly full."""
    if not killed:
        return None
    first = killed[0].event.ref
    reports = [
        event for event in run.events_of(kinds.HOST_MEMORY)
        if event.ref.file == first.file and event.ref.line < first.line
    ]  # fmt: skip
    last = max(reports, key=lambda event: event.ref.line, default=None)
    percent = last.data.get("percent") if last else None
    return last if isinstance(percent, float) and percent >= FULL.value else None


def _inferred(killed: Sequence[Incident], report: Event) -> Finding:
    percent = report.data["percent"]
    base = finding(
        "oom-host", killed, f"SIGKILL while {percent} % of the host's memory was in use: mostly the memory killer",
        confidence="medium",
        facts={"percent": percent, "is_inferred": True},
    )  # fmt: skip
    evidence = (*base.evidence[:1], Evidence(report.ref, "memory in use before"), *base.evidence[1:])
    return Finding(base.rule, base.severity, base.confidence, base.summary, evidence, base.first_step, base.last_step, base.facts)
