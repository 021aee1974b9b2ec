"""Every input that fuzzing found keeps the promises, and so do the inputs that it begins with."""

from __future__ import annotations

from pathlib import Path

import pytest

from parsers import registry
from tests.fuzz import seeds
from tests.fuzz.names import NAMES
from tests.fuzz.targets import TARGETS, target

CORPUS = Path(__file__).parent / "corpus"
FOUND = sorted(path for path in CORPUS.glob("*/*"))


@pytest.mark.parametrize("path", FOUND, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_was_found_is_mended(path: Path) -> None:
    try:
        target(path.parent.name)(path.read_bytes())
    except Exception as error:  # a pattern that takes for ever is refused, in one sentence
        if type(error).__name__ != "PatternError":
            raise


@pytest.mark.parametrize("name", TARGETS)
def test_the_first_inputs_keep_the_promises(name: str) -> None:
    for data in seeds.of(name)[: None if name == "text" else 6]:
        target(name)(data)


def test_every_whole_file_reader_has_a_name_to_be_fuzzed_under() -> None:
    assert set(NAMES) == {form.name for form in registry.file_formats()}
