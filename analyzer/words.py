"""The main job's command line, read without typer: to import it and build its options costs more than a small log.

`request` knows the plain forms (`--name value`, `--name=value`, `-o FILE`, flags, paths). Whatever it does not know for sure,
wrong usage and `--help` included, it leaves to typer, which says it in words: that both understand the same is a test
(`tests/test_words.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from analyzer.job import Given, Request

FORMATS: Final = ("terminal", "json", "markdown", "html")
SEVERITIES: Final = ("critical", "warning", "info", "never")
LANGUAGES: Final = ("en", "zh")


def _one_of(*words: str) -> Callable[[str], str]:
    def chosen(word: str) -> str:
        if word not in words:
            raise ValueError(word)
        return word

    return chosen


ONCE: Final[dict[str, tuple[str, Callable[[str], Any]]]] = {
    "--format": ("format", _one_of(*FORMATS)),
    "--output": ("output", Path),
    "-o": ("output", Path),
    "--html": ("html", Path),
    "--fail-on": ("fail_on", _one_of(*SEVERITIES)),
    "--lang": ("lang", _one_of(*LANGUAGES)),
    "--python": ("python", str),
    "--fix-dir": ("fix_dir", Path),
    "--config": ("config", str),
}
"""Options of which the last one counts: the field and how its text becomes it."""
MANY: Final[dict[str, tuple[str, Callable[[str], Any]]]] = {
    "--only": ("only", str),
    "--ignore": ("ignore", str),
    "--fact": ("facts", str),
    "--env": ("files", str),
    "--rules": ("rules", Path),
}
"""Options that may be repeated."""
FLAGS: Final[dict[str, tuple[str, bool]]] = {
    "--redact": ("redact", True),
    "--no-redact": ("redact", False),
    "--strict": ("strict", True),
}


def request(words: Sequence[str]) -> Request | None:
    """What the words ask for; None where typer has to read them."""
    try:
        found = _read(list(words))
    except (ValueError, IndexError):
        return None
    paths, given = tuple(found.pop("paths", ())), [found.pop(name, None) for name in ("facts", "files", "python")]
    if not paths:
        return None
    many: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}
    return Request(paths, given=Given(tuple(given[0] or ()), tuple(given[1] or ()), given[2]), **many)


def _read(words: list[str]) -> dict[str, Any]:
    """Fields by name. Raises ValueError or IndexError at anything out of the ordinary."""
    found: dict[str, Any] = {}
    words.reverse()
    while words:
        word = words.pop()
        name, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if word == "-" or not word.startswith("-"):
            found.setdefault("paths", []).append(_sure(word, word))
        elif name in FLAGS and not equals:
            found[FLAGS[name][0]] = FLAGS[name][1]
        elif name in ONCE:
            field, made = ONCE[name]
            found[field] = made(_sure(value if equals else words.pop(), word))
        elif name in MANY:
            field, made = MANY[name]
            found.setdefault(field, []).append(made(_sure(value if equals else words.pop(), word)))
        else:
            raise ValueError(word)
    return found


def _sure(value: str, word: str) -> str:
    """A value that no parser takes for anything else."""
    if not value or (value.startswith("-") and value is not word):
        raise ValueError(value)
    return value
