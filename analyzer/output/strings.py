"""Every word the renderers print, from one catalogue per language: `locale/<lang>.toml`.

A key is dotted (`ui.print`). A key with `.one` and `.other` is a plural, chosen by the number `n`. A missing key raises
KeyError, and a test holds both catalogues to the same keys; names of rules, metrics, readers and events are open sets
and are asked for with `name`, which falls back to the identifier itself.
"""

from __future__ import annotations

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
    tables = tomli.loads((_FOLDER / f"{known}.toml").read_text("utf-8"))
    return Strings(known, dict(_flat(tables, "")))


def _flat(table: dict[str, object], prefix: str) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for key, value in table.items():
        if isinstance(value, dict):
            pairs += _flat(value, f"{prefix}{key}.")
        else:
            pairs.append((prefix + key, str(value)))
    return pairs
