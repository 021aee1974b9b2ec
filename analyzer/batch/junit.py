"""A batch as JUnit XML: a test a run, so that a CI server shows which runs failed and why."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from analyzer.batch.card import Card

_ILLEGAL = dict.fromkeys([*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF, *range(0xD800, 0xE000)], "\ufffd")


def render(cards: Sequence[Card], fail_on: str) -> str:
    """The report: a failure is a finding of severity `fail_on` or worse, an error a run that could not be read."""
    level = "critical" if fail_on == "never" else fail_on
    cases = [_case(card, level) for card in cards]
    failures = sum(bool(card.loud(level)) for card in cards)
    errors = sum(bool(card.error) for card in cards)
    skipped = sum(card.word == "unjudged" and not card.findings for card in cards)
    head = f'tests="{len(cards)}" failures="{failures}" errors="{errors}" skipped="{skipped}"'
    return "\n".join([
        '<?xml version="1.0" encoding="UTF-8"?>', f'<testsuites name="nanalyze" {head}>', f'<testsuite name="runs" {head}>',
        *cases, "</testsuite>", "</testsuites>", "",
    ])  # fmt: skip


def _case(card: Card, level: str) -> str:
    name = f"  <testcase classname={_attribute(card.word)} name={_attribute(card.root)}"
    if card.error:
        return f'{name}><error type="unread" message={_attribute(card.error)}/></testcase>'
    loud = card.loud(level)
    if not loud:
        skip = '<skipped message="nothing could be judged"/>' if card.word == "unjudged" and not card.findings else ""
        return f"{name}>{skip}</testcase>" if skip else f"{name}/>"
    lead = card.lead if card.lead in loud else loud[0]
    assert lead is not None
    body = [f"{one.file}:{one.line}: {one.severity}: {one.rule}: {one.summary}\n    {one.text}" for one in loud]
    body += [f"{why.verdict} cause: {why.id}: {why.title}" for why in card.causes[:3]]
    message = f"{lead.rule}: {lead.summary}"
    text = escape("\n".join(body).translate(_ILLEGAL))
    return f"{name}><failure type={_attribute(lead.rule)} message={_attribute(message)}>{text}</failure></testcase>"


def _attribute(text: str) -> str:
    return quoteattr(text.translate(_ILLEGAL))
