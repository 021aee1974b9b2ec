"""Communication between ranks broke, and it is no mere echo of a rank that died before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from analyzer.apart import apart, pair, parted
from analyzer.incidents import Incident, Incidents, cut, finding, where
from analyzer.model import Confidence, Finding
from analyzer.rule import rule
from parsers import Run, kinds
from parsers.model import Value

REPEATED: Final = ("ncclUnhandledCudaError", "unhandled cuda error", "Failed to execute operation", "Cuda failure")
"""What NCCL prints of an error that CUDA had: where that is told itself, this is its echo."""


@rule(title="communication between ranks failed", severity="critical", events=(kinds.COMMUNICATION_ERROR,))
def communication_error(run: Run) -> Iterator[Finding]:
    """NCCL, RDMA, socket and store failures. A closed connection counts only where nothing says why the peer went."""
    incidents = Incidents(run)
    found = [
        one for one in incidents.of_kind(kinds.COMMUNICATION_ERROR)
        if not incidents.is_collateral(one) and not _is_echo(one, incidents)
    ]  # fmt: skip
    if not found:
        return
    own = [one for one in found if not one.event.data.get("is_peer")]
    first = next((one for one in own if one.text("backend")), own[0] if own else found[0])
    ordered = [first, *(one for one in found if one is not first)]
    facts: dict[str, Value] = {
        name: first.event.data[name] for name in ("backend", "code", "peer", "exception") if first.event.data.get(name)
    }
    mismatch = [one for one in own if one.event.data.get("is_mismatch")]
    if mismatch:
        facts["is_desync"] = True
        if odd := apart(mismatch, incidents):
            facts |= {"rank_apart": odd.rank, "apart": odd.text}
            ordered = [odd.incident, *(one for one in ordered if one is not odd.incident)]
        elif text := pair(mismatch, incidents):
            facts |= parted(run, first, "0-1", text)
            ordered.sort(key=lambda one: one.event.rank != facts.get("rank_apart", first.event.rank))
    confidence: Confidence = "high" if own else "medium"
    yield finding(
        "communication-error", ordered, _summary(first, bool(own), facts) + where(found), confidence=confidence,
        facts=facts | {"message": cut(first.text("message"), 200)},
    )  # fmt: skip


def _is_echo(one: Incident, incidents: Incidents) -> bool:
    """A peer was lost because it had died of something that is told, or NCCL repeats an error of CUDA's."""
    roots = incidents.roots(one.attempt, besides=(kinds.COMMUNICATION_ERROR,))
    if one.event.data.get("is_peer"):
        return bool(roots) or any(
            other.attempt == one.attempt and not other.event.data.get("is_peer")
            for other in incidents.of_kind(kinds.COMMUNICATION_ERROR)
        )
    is_repeated = any(text in one.text("message") for text in REPEATED)
    return is_repeated and any(root.event.kind in (kinds.CUDA_OOM, kinds.DEVICE_ASSERT, kinds.HARDWARE) for root in roots)


def _summary(first: Incident, is_own: bool, facts: dict[str, Value]) -> str:
    if facts.get("apart"):
        return f"the ranks disagree on the collective: {facts['apart']}"
    message = cut(first.text("message").replace("\n", " "), 160)
    if facts.get("is_desync"):
        return f"the ranks disagree on the collective: {message}"
    if is_own:
        return f"communication failed: {message}"
    return f"a peer closed the connection and no log says why ({message})"
