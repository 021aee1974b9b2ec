"""Every rule's page: its headings are there, and each of its examples does what the page says.

A fence's info string is the expectation: `log fires=12` (a warning or worse that begins at step 12, or at line 12 where it has
no step), `log info=12` (the same, but info), `log fires-line=3`, `log quiet`, `log skips=loss`. A line
`(the last 4 lines 5 times more)` stands for copies; `, counting up` raises the number behind `iteration` or `step`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from analyzer import rule as rules
from analyzer.model import Finding
from parsers import read

HEADINGS = ["What it finds", "Why it matters", "What it does not mean", "Look at", "Examples"]
FENCE = re.compile(r"^```log ([^\n]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MORE = re.compile(r"^\(the last (?:(\d+) )?lines? (\d+) times more(, counting up)?\)$")
COUNTER = re.compile(r"((?:iteration|step)\W+)(\d+)")


class Example(NamedTuple):
    rule: rules.Rule
    expect: str
    text: str


def expanded(text: str) -> list[str]:
    lines: list[str] = []
    for line in text.splitlines():
        found = MORE.match(line)
        if not found:
            lines.append(line)
            continue
        group = lines[-int(found[1] or 1) :]
        for _ in range(int(found[2])):
            for copy in group:
                lines.append(_counted(copy, lines) if found[3] else copy)
    return lines


def _counted(copy: str, lines: list[str]) -> str:
    last = COUNTER.search(lines[-1])
    assert last, f"nothing to count in {lines[-1]!r}"
    return COUNTER.sub(lambda m: f"{m[1]}{int(last[2]) + 1}", copy, count=1)


ALL = rules.load()
PAGED = [one for one in ALL if one.text]
EXAMPLES = [Example(one, expect, text) for one in PAGED for expect, text in FENCE.findall(one.text)]


def _id(example: Example) -> str:
    return f"{example.rule.id}:{example.expect.replace(' ', ',')}"


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.id)
def test_every_rule_has_a_page_with_the_fixed_headings_and_all_kinds_of_examples(one: rules.Rule) -> None:
    assert one.text, f"{one.page} is missing"
    assert one.text.startswith(f"# {one.id}: ")
    assert re.findall(r"^## (.+)$", one.text, re.MULTILINE) == HEADINGS
    kinds = [re.split(r"[= ]", expect)[0] for expect, _ in FENCE.findall(one.text)]
    assert {"fires", "fires-line", "info"} & set(kinds)
    assert "quiet" in kinds
    assert "skips" in kinds or not one.needs
    assert len(kinds) == one.text.count("```log"), "a fence that is not closed"


@pytest.mark.parametrize("example", EXAMPLES, ids=_id)
def test_an_example_does_what_its_page_says(example: Example, tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    log.write_text("\n".join(expanded(example.text)) + "\n", "utf-8")
    run = read([log])
    findings, skip, failure = rules.run_rule(example.rule, run, strict=True)
    assert failure is None
    kind, _, wanted = example.expect.split()[0].partition("=")
    loud = [finding for finding in findings if finding.severity != "info"]
    if kind == "skips":
        assert skip is not None, f"judged: {findings}"
        assert any(wanted in need.split("|") for need in skip.missing)
    elif kind == "quiet":
        assert skip is None, f"skipped for want of {skip}"
        assert not loud, loud[0].summary
    else:
        assert skip is None, f"skipped for want of {skip}"
        candidates = [f for f in findings if f.severity == "info"] if kind == "info" else loud or list(findings)
        assert candidates, f"nothing found; series {[(t.metric, len(t)) for t in run.tracks]}"
        if wanted:
            assert int(wanted) in _places(candidates[0], kind), candidates[0].summary


def _places(finding: Finding, kind: str) -> tuple[int | None, ...]:
    line = finding.evidence[0].ref.line
    return (line,) if kind == "fires-line" else (finding.first_step, line)


@pytest.mark.parametrize("example", [e for e in EXAMPLES if e.expect.startswith(("fires", "info"))], ids=_id)
def test_a_finding_says_how_its_steps_were_found_and_cites_lines_that_exist(example: Example, tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    lines = expanded(example.text)
    log.write_text("\n".join(lines) + "\n", "utf-8")
    for finding in rules.run_rule(example.rule, read([log]), strict=True)[0]:
        assert finding.rule == example.rule.id
        assert all(1 <= evidence.ref.line <= len(lines) for evidence in finding.evidence)
        if finding.first_step is not None:
            assert finding.facts.get("step_source"), finding.facts
