"""The knowledge base: every file is linted, and every case of every file is diagnosed as it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import tomli

from analyzer import cause as causes
from analyzer import rule as rules
from analyzer import setting, shapes
from analyzer.clauses import split
from analyzer.diagnosis import Options, diagnose
from analyzer.patterns import conjuncts, signatures
from analyzer.versions import in_ranges
from parsers import Fact, SourceRef, kinds

ROOT = Path(__file__).parents[2]
FILES = sorted(causes.FOLDER.glob("*.toml"))
IDS = {path.stem for path in FILES}
TOP = {
    "id", "title", "kind", "status", "prior", "mechanism", "affects", "rivals", "requires", "evidence", "remedy", "confirm",
    "sources", "cases",
}  # fmt: skip
CLAUSE = {"when", "any", "all", "none", "text", "strength", "otherwise", "ask", "hint"}
REMEDY = {"steps", "config", "packages", "arguments", "discard", "cost"}
KINDS = {value for name, value in vars(kinds).items() if name.isupper()}
STATISTIC = re.compile(r"(first|last|min|max|median|count) (>|>=|<|<=|==|!=) [-+0-9.e]+")
KEYED = ("config", "arg", "model", "run", "project", "fact", "hardware", "tried")


def data_of(path: Path) -> dict[str, Any]:
    return tomli.loads(path.read_text("utf-8"))


def texts(data: dict[str, Any]) -> list[str]:
    """Every clause of a file, conjunctions taken apart."""
    found = [text for texts in data.get("requires", {}).values() for text in texts]
    for entry in data["evidence"]:
        found += [entry["when"]] if "when" in entry else next(entry[key] for key in ("any", "all", "none") if key in entry)
    return [part for text in found for part in conjuncts(text)]


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


def test_the_two_hundred_are_there() -> None:
    assert len(FILES) >= 204


def test_file_is_well_formed(path: Path) -> None:
    data = data_of(path)
    cause = causes.load_file(path)
    assert cause.id == path.stem
    assert set(data) <= TOP, "unknown keys"
    assert cause.kind in ("root-cause", "decoder", "benign", "amplifier", "echo")
    assert cause.status in ("confirmed", "likely", "anecdotal", "withdrawn")
    assert cause.prior in causes.PRIORS
    assert set(data.get("requires", {})) <= set(causes.GATES)
    assert "\n" not in cause.title and len(cause.title) <= 160
    assert len(cause.mechanism) > 60, "a mechanism says how, in sentences"
    assert set(cause.rivals) <= IDS - {cause.id}
    assert all(set(entry) <= CLAUSE for entry in data["evidence"])
    assert any(spec.if_met > 0 for spec in cause.evidence)


def test_remedy_can_be_acted_on(path: Path) -> None:
    cause = causes.load_file(path)
    assert set(cause.remedy) <= REMEDY
    assert cause.remedy["steps"] and all(step.strip() for step in cause.remedy["steps"])
    assert len(cause.experiment) > 10


def test_versions_parse(path: Path) -> None:
    data = data_of(path)
    for entry in data.get("affects", ()):
        assert set(entry) <= {"package", "versions"}
        assert in_ranges("1.0", entry["versions"]) is not None
    for text in texts(data):
        if text.startswith("package:") and " in " in text:
            assert in_ranges("1.0", text.partition(" in ")[2]) is not None


def test_clauses_ask_for_what_exists(path: Path) -> None:
    known = {rule.id for rule in rules.load()}
    for text in texts(data_of(path)):
        kind, _, subject = text.partition(":")
        if kind == "rule":
            assert subject.partition(" ")[0] in known, text
        elif kind == "event":
            assert subject.partition(" ")[0] in KINDS, text
        elif kind == "setting":
            assert split(subject)[0] in setting.SETTINGS, text
        elif kind == "metric":
            shape = subject.partition(" ")[2]
            assert shape in shapes.SHAPES or STATISTIC.fullmatch(shape), text
        elif kind == "line":
            re.compile(subject)
            assert len(re.findall(r"(?<!\\)[.\]sSwW][*+]", subject)) <= 4, f"{text}: too many open repetitions to stay fast"
        else:
            assert kind in (*KEYED, "package"), text


def test_every_line_clause_has_a_literal_to_look_for(path: Path) -> None:
    for signature in signatures([causes.load_file(path)]):
        assert len(signature.hint) >= 3
        assert "\n" not in signature.hint


def bounds_that_weigh(cause: causes.Cause) -> set[str]:
    """The version ranges that a strong or decisive clause, or a gate that shuts, of a cause rests on."""
    found = [when for key in ("sure", "all", "none") for when in cause.requires.get(key, ())]
    for spec in cause.evidence:
        if max(abs(spec.if_met), abs(spec.if_not)) >= causes.STRENGTHS["strong"]:
            found += spec.whens
    parts = [part for text in found for part in conjuncts(text)]
    return {part.partition(" in ")[2] for part in parts if part.startswith("package:") and " in " in part}


def versions_in(text: str) -> set[str]:
    """`>=4.46.0,<4.49` → 4.46 and 4.49: trailing zeros and development parts do not count."""
    return {re.sub(r"(\.0)+$", "", number) for number in re.findall(r"\d+(?:\.\d+)*", re.sub(r"\.dev\d+", "", text))}


def test_bounds_that_weigh_are_verified(path: Path) -> None:
    """Each stands, with the cause's id, in a line of `docs/verified*.md`, outside the lists of what was not checked."""
    cause = causes.load_file(path)
    proof = set()
    for page in ("verified.md", "verified-systems.md"):
        checked = (ROOT / "docs" / page).read_text("utf-8").partition("\n## Not checked")[0]
        for line in checked.splitlines():
            proof |= versions_in(line) if re.search(rf"(?<![\w-]){cause.id}(?![\w-])", line) else set()
    for ranges in sorted(bounds_that_weigh(cause)):
        assert versions_in(ranges) <= proof, f"{cause.id} rests on {ranges}, of which docs/verified*.md say {sorted(proof)}"


def test_sources_are_given(path: Path) -> None:
    sources = causes.load_file(path).sources
    assert sources
    assert all(source["url"].startswith("https://") and source.get("supports") for source in sources)


def test_parts_stand_in_the_order_that_runs_rely_on(path: Path) -> None:
    """A run reads up to `[remedy]`, an explanation up to `[[cases]]`."""
    heads = re.findall(r"^\[\[?([a-z]+)\]\]?$", path.read_text("utf-8"), re.MULTILINE)
    order = ["requires", "evidence", "remedy", "confirm", "sources", "cases"]
    assert [order.index(head) for head in heads] == sorted(order.index(head) for head in heads)


def test_cases_hold(path: Path, tmp_path: Path) -> None:
    cause = causes.load_file(path)
    expected = [case["expect"] for case in cause.cases]
    assert set(expected) & {"first", "listed"}, "a positive case"
    assert "absent" in expected, "a negative case"
    for number, case in enumerate(cause.cases):
        log = ROOT / case["log"] if "log" in case else tmp_path / f"{number}.log"
        if "text" in case:
            log.write_text(case["text"], "utf-8")
        facts = [Fact(key, value, SourceRef("stated", 0), given=True) for key, value in case.get("facts", {}).items()]
        diagnosis = diagnose(log, Options(facts=tuple(facts), strict=True))
        ids, notes = [match.id for match in diagnosis.causes], [match.id for match in diagnosis.notes]
        if case["expect"] == "first":
            leaders = ids[:1] + (notes[:1] if cause.kind in ("decoder", "benign") else [])
            assert cause.id in leaders, (number, ids, notes)
        elif case["expect"] == "listed":
            assert cause.id in ids + notes, (number, ids, notes)
        else:
            assert cause.id not in ids + notes, (number, ids, notes)


def test_without_its_version_it_is_at_most_likely(path: Path, tmp_path: Path) -> None:
    """The same log and facts, the versions left out: a cause that a version could refute is not called confirmed."""
    cause = causes.load_file(path)
    asks = {part for spec in cause.evidence if spec.if_not < 0 for when in spec.whens for part in conjuncts(when)}
    packages = {part.partition(" in ")[0] for part in asks if part.startswith("package:")}
    for number, case in enumerate(cause.cases):
        facts = case.get("facts", {})
        if case["expect"] == "absent" or "text" not in case or packages.isdisjoint(facts):
            continue
        log = tmp_path / f"{number}.log"
        log.write_text(case["text"], "utf-8")
        left = [Fact(key, value, SourceRef("stated", 0), given=True) for key, value in facts.items() if key not in packages]
        found = [match.verdict for match in diagnose(log, Options(facts=tuple(left))).causes if match.id == cause.id]
        assert "confirmed" not in found
