"""Chinese is whole: every sentence that a shipped rule or cause says has a translation, with the same numbers in it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import tomli

from analyzer.output import markdown, terminal, translate
from analyzer.output.strings import LANGUAGES, catalogue
from tests import translations
from tests.output import diagnoses

LOCALE = Path(translate.__file__).parent / "locale"
CJK = re.compile("[\u4e00-\u9fff]")
OTHERS = LANGUAGES[1:]


@pytest.mark.parametrize("lang", OTHERS)
def test_what_is_translated_is_translated_whole(lang: str) -> None:
    """What rules say, and every cause that has a translation at all; a new cause alone may wait for the release."""
    lacking = translations.missing(lang)
    assert not lacking, "\n".join(["python -m tests.translations", *lacking])


@pytest.mark.parametrize("lang", OTHERS)
def test_the_shipped_causes_are_translated(lang: str) -> None:
    """All but a few new ones, which are shown in English with a mark until `make translations` asks for them."""
    total = len(translations.causes_texts())
    assert total > 200 and len(translations.untranslated(lang)) <= total // 20


@pytest.mark.parametrize("lang", OTHERS)
def test_the_quick_reading_of_a_catalogue_is_what_toml_says(lang: str) -> None:
    tables = tomli.loads((LOCALE / f"{lang}.toml").read_text("utf-8"))
    assert tables["sentence"] == catalogue(lang).sentences
    assert list(tables["pattern"].values()) == [template for _, template in catalogue(lang).patterns]


@pytest.mark.parametrize("lang", OTHERS)
def test_a_translated_summary_keeps_its_numbers(lang: str) -> None:
    s = catalogue(lang)
    for rule, summary in translations.golden_texts():
        told = translate.said(summary, s)
        if rule and told:
            number = r"\d[\d.,e+-]*\d|\d"
            assert set(re.findall(number, summary)) - {"1"} <= set(re.findall(number, told)), summary


@pytest.mark.parametrize("lang", OTHERS)
def test_code_and_versions_survive_in_sentences(lang: str) -> None:
    for english, told in catalogue(lang).sentences.items():
        assert sorted(re.findall("`[^`]+`", english)) == sorted(re.findall("`[^`]+`", told)), english
        for version in re.findall(r"(?<![\w.])\d+\.\d+\.\d+(?:\.\d+)?(?![\w])", english):
            assert version in told, (english, version)


def test_a_cause_without_a_translation_is_shown_in_english_and_marked() -> None:
    diagnosis = diagnoses.rich()
    new = replace(diagnosis.causes[0], title="The moon was full", mechanism="Nobody knows.")
    text = terminal.render(replace(diagnosis, causes=(new,)), width=100, color=False, lang="zh")
    assert "The moon was full（尚无中文说明）" in text
    assert "尚无中文说明" not in terminal.render(diagnosis, width=100, color=False, lang="en")
    assert "尚无中文说明" in catalogue("zh")("cause.untranslated", text="x")


def test_a_summary_without_a_translation_keeps_the_rules_title() -> None:
    diagnosis = diagnoses.rich()
    odd = replace(diagnosis.findings[0], summary="something that no rule says")
    told = translate.translated(replace(diagnosis, findings=(odd,)), catalogue("zh")).findings[0].summary
    assert CJK.search(told) and told.endswith("something that no rule says")


def test_a_log_that_looks_like_a_sentence_is_quoted_untouched() -> None:
    diagnosis = diagnoses.rich()
    text = markdown.render(diagnosis, lang="zh")
    assert diagnosis.findings[0].evidence[0].ref.text in text


def test_english_is_not_touched() -> None:
    diagnosis = diagnoses.rich()
    assert translate.translated(diagnosis, catalogue("en")) is diagnosis


def test_hostile_texts_neither_raise_nor_take_long() -> None:
    s = catalogue("zh")
    for text in ("", ";", "; " * 5000, "loss is " * 5000, "loss is exactly 0 from step " + "1" * 100_000, "\x00\ud800", "{x} {"):
        assert translate.sentence(text, s) == text


def test_no_key_is_given_twice() -> None:
    for lang in OTHERS:
        lines = (LOCALE / f"{lang}.toml").read_text("utf-8").splitlines()
        keys = [json.loads(line.partition('" = "')[0] + '"') for line in lines if line.startswith('"')]
        assert len(keys) == len(set(keys))
