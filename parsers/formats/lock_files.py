"""Lock files and conda environments: what a project's environment is made of, to the exact version.

    [[package]]                        uv.lock, poetry.lock, pdm.lock, pylock.toml: a table a package
    name = "deepspeed"
    version = "0.14.0"

        "deepspeed": {                 Pipfile.lock: a member a package
            "version": "==0.14.0"

    - deepspeed=0.14.0=py310_0         environment.yml of conda; below `- pip:` the pins are pip's, with `==`

    dependencies = ["torch==2.1.2", …]  pyproject.toml: its exact pins, extras included; `deepspeed = "0.12.6"` is one to Poetry

Such a file says what was to be installed, not what ran: it counts as little as a `requirements.txt`. The files are read line
by line, so that each version has its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from parsers import packages
from parsers.lazy import Lazy
from parsers.model import Record, SourceRef
from parsers.registry import file_reader

MAX_LINE = 400
_NAME = Lazy(r'name = "(?P<name>[A-Za-z0-9][\w.-]{0,80})"')
_VERSION = Lazy(r'version = "(?P<version>\d[\w.+!-]{0,60})"')
_MEMBER = Lazy(r'"(?P<name>[A-Za-z0-9][\w.-]{0,80})": \{')
_EXACT = Lazy(r'"version": "={2,3}(?P<version>\d[\w.+!-]{0,60})"')
_CONDA = Lazy(
    r"- ?(?:[\w.-]{1,60}::)?(?P<name>[A-Za-z0-9_][\w.-]{0,80})={1,3}(?P<version>\d[\w.+!]{0,60})(?:=[\w.]{1,60})?(?=[\s;#]|$)"
)
_SECTION = Lazy(r"\[{1,2}(?P<section>[\w.\" -]{1,120})\]{1,2}\s*(?:#.*)?$")
_QUOTED = Lazy(
    r"[\"'](?P<name>[A-Za-z0-9][\w.-]{0,80})(?:\[[\w, -]{0,80}\])?"
    r" ?={2,3} ?(?P<version>\d[\w.+!-]{0,60}) ?(?:;[^\"]{0,200})?[\"']"
)
_ASSIGNED = Lazy(r"[\"']?(?P<name>[A-Za-z0-9][\w.-]{0,80})[\"']? ?= ?[\"'](?:={2,3} ?)?(?P<version>\d[\w.+!-]{0,60})[\"']")
_PINNING = ("project", "project.optional-dependencies", "dependency-groups")
_POETRY = "tool.poetry."


def _is_toml(path: Path, first: bytes) -> bool:
    return path.suffix in (".lock", ".toml") and (b"[[package]]" in first or b"[[packages]]" in first)


def _is_pipfile(path: Path, first: bytes) -> bool:
    return path.name == "Pipfile.lock" and b'"_meta"' in first


def _is_conda(path: Path, first: bytes) -> bool:
    return path.suffix in (".yml", ".yaml") and b"dependencies:" in first and (b"channels:" in first or b"- pip:" in first)


def _is_pyproject(path: Path, first: bytes) -> bool:
    return path.name == "pyproject.toml" and b"dependencies" in first


def _lines(path: Path) -> Iterator[tuple[str, SourceRef]]:
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            text = line[:MAX_LINE].strip()
            yield text, SourceRef(str(path), number, text[:300])


def _paired(path: Path, names: Lazy, versions: Lazy) -> Iterator[Record]:
    """A version belongs to the name above it, and only the first one."""
    name = ""
    for text, ref in _lines(path):
        if found := names.match(text):
            name = found["name"]
        elif name and (found := versions.match(text)):
            yield from packages.facts(name, found["version"], ref, 1)
            name = ""


@file_reader("lock_file", title="Lock files (uv.lock, poetry.lock, pdm.lock)", example="[[package]]", matches=_is_toml)
def read_toml(path: Path) -> Iterator[Record]:
    """A `package:` fact for each package."""
    return _paired(path, _NAME, _VERSION)


@file_reader("pipfile_lock", title="Pipenv's lock file (Pipfile.lock)", example='"version": "==0.14.0"', matches=_is_pipfile)
def read_pipfile(path: Path) -> Iterator[Record]:
    """A `package:` fact for each package."""
    return _paired(path, _MEMBER, _EXACT)


@file_reader(
    "conda_environment",
    title="conda's environment files (environment.yml)",
    example="- pytorch=2.1.2=py3.10_cuda12.1_cudnn8.9.2_0",
    matches=_is_conda,
)
def read_conda(path: Path) -> Iterator[Record]:
    """A `package:` fact for each package whose version is exact."""
    for text, ref in _lines(path):
        if found := _CONDA.match(text):
            yield from packages.facts(found["name"], found["version"], ref, 1)


@file_reader(
    "pyproject",
    title="A project's own pins (pyproject.toml)",
    example='dependencies = ["deepspeed==0.12.6"]',
    matches=_is_pyproject,
)
def read_pyproject(path: Path) -> Iterator[Record]:
    """A `package:` fact for each package that the project asks for in one exact version."""
    section = ""
    for text, ref in _lines(path):
        if found := _SECTION.match(text):
            section = found["section"]
        elif section in _PINNING:
            for pin in _QUOTED.finditer(text):
                yield from packages.facts(pin["name"], pin["version"], ref, 1)
        elif section.startswith(_POETRY) and section.endswith("dependencies") and (found := _ASSIGNED.match(text)):
            yield from packages.facts(found["name"], found["version"], ref, 1)
