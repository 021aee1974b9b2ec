"""Text summaries and hyperparameters of an event file → facts about the run.

transformers' `TensorBoardCallback` writes `args/text_summary` (the TrainingArguments as JSON) and
`model_config/text_summary` (the model's configuration as JSON, with the version of the transformers that runs).
Megatron-LM and MaxText write a text summary an argument: `hidden_size/text_summary` = `1024`. torch's `add_hparams`,
Lightning and Keras write the hparams plugin.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from parsers.lazy import Lazy
from parsers.model import MAX_TEXT, Fact, SourceRef, Value
from parsers.tfevents import EventFile, Text
from parsers.values import scalar

WEIGHT: Final = 2
_SUFFIX: Final = "/text_summary"
_PREFIXES: Final = {"model_config": "model:", "ds_config": "config:", "deepspeed_config": "config:"}
_IDENTIFIER: Final = Lazy(r"[A-Za-z_][A-Za-z0-9_]{1,60}")
_MANY: Final = 20
"""So many one-word text summaries are a program's arguments; a few may be anything."""
_LONGEST: Final = 200
_DEEPEST: Final = 6
_MOST: Final = 3000


def facts(found: EventFile) -> Iterator[Fact]:
    """The facts that the texts and hyperparameters of a file state."""
    words: list[tuple[Text, str]] = []
    for text in found.texts:
        name = text.tag.removesuffix(_SUFFIX)
        if text.text.lstrip()[:1] == "{":
            yield from _of_json(found.path, text, name)
        elif _IDENTIFIER.fullmatch(name) and len(text.text) <= _LONGEST and "\n" not in text.text:
            words.append((text, name))
    if len({name for _, name in words}) >= _MANY:
        for text, name in words:
            yield _fact(found.path, text.line, "arg:" + name, scalar(text.text))
    for line, params in found.hparams:
        for name, value in params.values.items():
            yield _fact(found.path, line, "arg:" + name, scalar(value) if isinstance(value, str) else value)


def _fact(path: str, line: int, key: str, value: Value) -> Fact:
    return Fact(key, value, SourceRef(path, line, f"{key.partition(':')[2]} = {value}"[:MAX_TEXT]), WEIGHT)


def _of_json(path: str, text: Text, name: str) -> Iterator[Fact]:
    try:
        document = json.loads(text.text)
    except (ValueError, RecursionError):
        return
    if not isinstance(document, dict):
        return
    prefix = _PREFIXES.get(name, "arg:")
    for count, (key, value) in enumerate(_flat(document, "", 0)):
        if count == _MOST:
            return
        if prefix == "arg:" and key.startswith("deepspeed."):
            yield _fact(path, text.line, "config:" + key.removeprefix("deepspeed."), value)
        else:
            yield _fact(path, text.line, prefix + key, value)
        if prefix == "model:" and key == "transformers_version" and isinstance(value, str):
            yield _fact(path, text.line, "package:transformers", value)


def _flat(document: dict[str, object], above: str, depth: int) -> Iterator[tuple[str, Value]]:
    """(dotted key, value) of every scalar; short lists as JSON."""
    for key, value in document.items():
        name = f"{above}{key}"
        if isinstance(value, dict):
            if depth < _DEEPEST:
                yield from _flat(value, name + ".", depth + 1)
        elif isinstance(value, list):
            shown = json.dumps(value)
            if len(shown) <= _LONGEST:
                yield name, shown
        elif isinstance(value, str | int | float | bool) or value is None:
            yield name, value[:MAX_TEXT] if isinstance(value, str) else value
