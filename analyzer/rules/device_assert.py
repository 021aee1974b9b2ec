"""A kernel on the GPU stopped the program: an assertion in device code or an illegal memory access."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from analyzer.incidents import Incident, Incidents, cut, finding, where
from analyzer.model import Finding
from analyzer.rule import rule
from parsers import Run, kinds
from parsers.model import Value

SOURCES: Final = {
    "Index": "an index beyond a table: a token id beyond the embedding",
    "Gather": "an index beyond a table: a token id beyond the embedding",
    "Embedding": "a token id beyond the embedding",
    "Loss": "a label beyond the number of classes",
    "NLLCriterion": "a label beyond the number of classes",
    "MultinomialKernel": "probabilities that are NaN, infinite or negative",
}
"""Parts of the kernel's source file → what is mostly wrong."""


@rule(title="a device-side assert or illegal access", severity="critical", events=(kinds.DEVICE_ASSERT,))
def device_assert(run: Run) -> Iterator[Finding]:
    """One finding; the assertion that was printed first says more than the Python line that noticed it."""
    incidents = Incidents(run)
    found = incidents.of_kind(kinds.DEVICE_ASSERT)
    if not found:
        return
    if any(root.event.kind == kinds.HARDWARE for root in incidents.roots(found[0].attempt)):
        return
    first = next((one for one in found if one.text("assertion")), found[0])
    ordered = [first, *(one for one in found if one is not first)]
    yield finding("device-assert", ordered, _summary(first) + where(found), note="the first sign", facts=_facts(first, found))


def _reading(first: Incident) -> str:
    return next((text for part, text in SOURCES.items() if part in first.text("source")), "")


def _summary(first: Incident) -> str:
    if first.text("assertion"):
        reading = _reading(first)
        return f"assertion failed on the GPU in {first.text('source') or 'a kernel'}: {cut(first.text('assertion'), 100)}" + (
            f" ({reading})" if reading else ""
        )
    return cut(first.text("message").split("\n", 1)[0], 160) or "the GPU reported an illegal access"


def _facts(first: Incident, found: Sequence[Incident]) -> dict[str, Value]:
    facts: dict[str, Value] = {
        name: first.event.data[name] for name in ("kernel", "source", "assertion") if first.event.data.get(name)
    }
    facts["threads"] = max((int(one.number("count") or 1) for one in found if one.text("assertion")), default=0)
    reading = _reading(first)
    return facts | ({"reading": reading} if reading else {})
