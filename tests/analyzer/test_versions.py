"""Version ranges mean what PEP 440 says: compared with packaging's own specifiers."""

from __future__ import annotations

import re

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from analyzer import cause as causes
from analyzer.versions import in_ranges

VERSIONS = [
    "0.3",
    "0.5.8",
    "0.9.5",
    "0.11.0",
    "0.12.3",
    "0.12.4",
    "0.14.2",
    "0.14.3",
    "0.14.3rc1",
    "0.14.3.dev5",
    "0.14.3.post1",
    "0.17.2",
    "0.19.3",
    "1.0",
    "1.0rc1",
    "1.0.post1",
    "1.2.1",
    "1.4.5",
    "1.5",
    "1.7.0",
    "2.0.0",
    "2.5.0",
    "2.5.1",
    "2.11.0a0",
    "2.13.1",
    "4.46.2",
    "4.48.2",
    "5.5.0.dev0",
    "2025.8.1",
    "2026.2.1",
]
EXTRA = ("~=1.4.2", "!=1.5.*", "<1.0", ">1.0", ">1.7", "==2025.8.*", "<=1.2.3,!=1.2", "<1.0rc2")


def ranges() -> set[str]:
    """Every range that a cause file asks for."""
    found = {part.strip() for entry in causes.load() for one in entry.affects for part in one["versions"].split("||")}
    for cause in causes.load():
        for spec in cause.evidence:
            for when in spec.whens:
                found |= {
                    part.strip() for text in re.findall(r"package:[\w-]+ in ([^|&]+)", when) for part in text.split(" and ")[:1]
                }
    return found | set(EXTRA)


def test_the_same_answers_as_packaging() -> None:
    asked = sorted(ranges())
    assert len(asked) > 50
    for text in asked:
        for version in VERSIONS:
            expected = SpecifierSet(text).contains(Version(version), prereleases=True)
            assert in_ranges(version, text) == expected, (version, text)


def test_any_of_several_ranges() -> None:
    assert in_ranges("0.18.5", ">=0.14.3,<0.17.2 || >=0.18.5,<0.19.0") is True
    assert in_ranges("0.17.4", ">=0.14.3,<0.17.2 || >=0.18.5,<0.19.0") is False


@pytest.mark.parametrize(("version", "answer"), [("2.5.0+cu118", True), ("2.5.0a0git1234", True), ("unknown", None), ("", None)])
def test_what_builds_call_themselves(version: str, answer: bool | None) -> None:
    assert in_ranges(version, ">=2.5.0.dev0,<2.6") is answer


@pytest.mark.parametrize("text", ["1.0", ">=", ">=a.b.c", ">=1.*", "latest"])
def test_malformed_ranges_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no version range"):
        in_ranges("1.0", text)
