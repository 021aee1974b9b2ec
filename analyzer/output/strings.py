"""Every word the renderers print, from one catalogue per language: `locale/<lang>.toml`.

What the renderers themselves say has a key in every catalogue. What rules and causes say is English in the document; a
catalogue of another language translates it in two more tables at its end, with the English text as the key: `[sentence]`
(whole texts) and `[pattern]` (texts with `{gaps}`). Each of their lines is `"English" = "translation"`, and `translate.py`
applies them.

A key is dotted (`ui.print`). A key with `.one` and `.other` is a plural, chosen by the number `n`. A missing key raises
KeyError, and a test holds both catalogues to the same keys; names of rules, metrics, readers and events are open sets
and are asked for with `name`, which falls back to the identifier itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final, Literal

Lang = Literal["en", "zh"]
LANGUAGES: Final[tuple[Lang, ...]] = ("en", "zh")
_FOLDER: Final = Path(__file__).parent / "locale"


@dataclass(frozen=True, slots=True)
class Strings:
    """The catalogue of one language."""

    lang: str
    texts: dict[str, str] = field(repr=False)
    sentences: dict[str, str] = field(default_factory=dict, repr=False)
    patterns: tuple[tuple[re.Pattern[str], str], ...] = field(default=(), repr=False)

    @property
    def is_translated(self) -> bool:
        """Whether what rules and causes say has to be translated: not in English, in which they are written."""
        return bool(self.sentences)

    def __call__(self, key: str, **values: object) -> str:
        """The text under `key` with `{name}`s filled in; `n` chooses between one and other. KeyError where unknown."""
        text = self.texts.get(key)
        if text is None:
            text = self.texts.get(f"{key}.one") if values.get("n") == 1 else None
            text = text or self.texts[f"{key}.other"]
        if not values:
            return text
        return text.format_map({name: count(value) if name == "n" else value for name, value in values.items()})

    def name(self, group: str, identifier: str) -> str:
        """What `identifier` of an open set (rule, metric, reader, event, missing) is called; itself where unknown."""
        return self.texts.get(f"{group}.{identifier}", identifier)

    def has(self, key: str) -> bool:
        """Whether the catalogue holds `key`."""
        return key in self.texts


def count(value: object) -> str:
    """5198 → `5,198`; anything but an integer as it is."""
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


@cache
def catalogue(lang: str = "en") -> Strings:
    """The strings of a language; English for one we do not have."""
    import tomli

    known = lang if lang in LANGUAGES else "en"
    text = (_FOLDER / f"{known}.toml").read_text("utf-8")
    keyed, _, rest = text.partition("\n[sentence]\n")
    sentences, _, patterns = rest.partition("\n[pattern]\n")
    compiled = tuple((_pattern(english), said) for english, said in _pairs(patterns))
    return Strings(known, dict(_flat(tomli.loads(keyed), "")), dict(_pairs(sentences)), compiled)


def _pairs(table: str) -> Iterator[tuple[str, str]]:
    """The lines `"English" = "translation"` of a table: read without a TOML reader, which takes ten times as long."""
    import json

    for line in table.splitlines():
        if line.startswith('"'):
            english, _, said = line.partition('" = "')
            yield json.loads(f'{english}"'), json.loads(f'"{said}')


def _pattern(template: str) -> re.Pattern[str]:
    """`loss is {x} from step {a}` as a pattern: a gap takes anything, `{s}` and `{es}` the ending of a plural or nothing."""
    parts = re.split(r"\{(\w+)\}", template)
    gaps = (
        (f"(?P<{name}>s?)" if name in ("s", "es") else f"(?P<{name}>.+?)") if i % 2 else re.escape(name)
        for i, name in enumerate(parts)
    )
    return re.compile("".join(gaps), re.DOTALL)


def _flat(table: dict[str, object], prefix: str) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for key, value in table.items():
        if isinstance(value, dict):
            pairs += _flat(value, f"{prefix}{key}.")
        else:
            pairs.append((prefix + key, str(value)))
    return pairs
