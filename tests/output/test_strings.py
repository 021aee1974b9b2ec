"""Both catalogues say everything, with the same gaps to fill, and every key that the code asks for is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from analyzer.output.strings import LANGUAGES, catalogue

ROOT = Path(__file__).resolve().parents[2]
CJK = re.compile("[\u4e00-\u9fff]")


def base(key: str) -> str:
    return key.removesuffix(".one").removesuffix(".other")


def gaps(text: str) -> set[str]:
    return set(re.findall(r"(?<!\{)\{(\w+)\}", text))


def test_both_languages_have_the_same_keys() -> None:
    english, chinese = (catalogue(lang).texts for lang in LANGUAGES)
    assert {base(key) for key in english} == {base(key) for key in chinese}


def test_the_same_values_are_filled_in() -> None:
    english, chinese = (catalogue(lang).texts for lang in LANGUAGES)
    for key, text in english.items():
        other = chinese.get(key) or chinese[f"{base(key)}.other"]
        assert gaps(text) == gaps(other), key


def test_chinese_uses_chinese_punctuation() -> None:
    for key, text in catalogue("zh").texts.items():
        if CJK.search(text) and not key.startswith("enable."):
            assert not re.search("[\u4e00-\u9fff}][,:;?]|[\u4e00-\u9fff] ?\\(", text), key


def test_every_key_asked_for_in_code_and_templates_exists() -> None:
    texts = catalogue("en").texts
    known = {base(key) for key in texts}
    files = [*(ROOT / "analyzer" / "output").glob("*.py"), *(ROOT / "templates").rglob("*.j2")]
    asked = {
        key for file in files for key in re.findall(r"""\bs\(\s*["']([a-z_]+\.[a-z_]+)["']\s*[,)]""", file.read_text("utf-8"))
    }
    assert len(asked) > 60
    assert asked <= known


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_rule_of_the_tool_has_a_title(lang: str) -> None:
    rules = {path.stem.replace("_", "-") for path in (ROOT / "analyzer" / "rules").glob("*.py")} - {"--init--"}
    titled = {key.removeprefix("rule.") for key in catalogue(lang).texts if key.startswith("rule.")}
    assert rules <= titled


def test_plurals_and_fallbacks() -> None:
    s = catalogue("en")
    assert s("term.more", n=1) == "1 more finding"
    assert s("term.more", n=1200) == "1,200 more findings"
    assert s.name("rule", "somebody-elses-rule") == "somebody-elses-rule"
    assert catalogue("fr").lang == "en"
    with pytest.raises(KeyError):
        s("ui.no_such_key")
