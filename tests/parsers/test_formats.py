"""Every text reader knows its own example, and leaves the others' metrics alone."""

from __future__ import annotations

import pytest

from parsers.registry import TextFormat, file_formats, text_formats
from tests.parsers.reading import alone, readers_of

# Lines that a reader needs around its example line.
AROUND = {
    "composer": "{}\n\t Train loss/train/total: 10.8123\n",
    "coqui": "{}\n     | > loss: 0.0563  (0.0557)\n",
    "olmo": "{}\n    train/CrossEntropyLoss=11.23\n",
    "keras": "Epoch 1/10\n{}\n",
    "ultralytics": "      Epoch    GPU_mem   box_loss   cls_loss   dfl_loss  Instances       Size\n{}\n",
}
# Readers of metrics that may say something about another one's example: (example of, reader).
SHARED = {
    ("host_memory", "deepspeed"),  # DeepSpeed prints the line, with the device's memory before the host's
}
# pip's `name==version` has no longer literal than `==`.
SHORT_HINTS = {"environment": {"=="}}
FORMATS = [form for form in text_formats() if form.example]


def text_of(form: TextFormat) -> str:
    return AROUND.get(form.name, "{}\n").format(form.example) + "\n"


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_a_reader_knows_its_own_example(form: TextFormat) -> None:
    assert alone(form, text_of(form))


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_no_other_reader_takes_metrics_from_it(form: TextFormat) -> None:
    fallbacks = {other.name for other in text_formats() if other.is_fallback}
    found = {name for name, records in readers_of(text_of(form)).items() if "Row" in records}
    others = {name for name in found - {form.name} - fallbacks if (form.name, name) not in SHARED}
    assert not others


@pytest.mark.parametrize("form", text_formats(), ids=lambda form: form.name)
def test_hints_are_long_enough_to_be_searched_for(form: TextFormat) -> None:
    assert form.hints
    assert all(len(hint) >= 3 for hint in set(form.hints) - SHORT_HINTS.get(form.name, set()))
    assert not form.example or any(hint in text_of(form) for hint in form.hints)


@pytest.mark.parametrize("form", [*text_formats(), *file_formats()], ids=lambda form: form.name)
def test_a_card_says_what_it_is(form: TextFormat) -> None:
    assert form.title
    assert form.name == form.name.lower()
