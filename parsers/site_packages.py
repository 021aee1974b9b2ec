"""The versions that an interpreter's environment holds, read from the metadata of its packages: nothing is imported or run.

    lib/python3.11/site-packages/deepspeed-0.14.0.dist-info/METADATA
        Metadata-Version: 2.1
        Name: deepspeed
        Version: 0.14.0

A path may name the interpreter (`venv/bin/python`), the environment's folder, or a `site-packages` folder itself. Links are
not resolved: the interpreter of a virtual environment is a link, and its packages stand beside the link.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from parsers import packages
from parsers.lazy import Lazy
from parsers.model import Fact, SourceRef
from parsers.source import UnreadableError

MAX_PACKAGES: Final = 5000
MAX_HEADER: Final = 200
"""Lines of a METADATA file among which its name and version stand: the description comes after the header."""
_SITE_FOLDERS: Final = ("lib/python3*/site-packages", "lib64/python3*/site-packages", "lib/python3*/dist-packages",
                        "lib/python3/dist-packages", "Lib/site-packages")  # fmt: skip
_PYTHON: Final = Lazy(r"python(?P<version>3\.\d{1,2})$")


def facts(path: str | Path) -> list[Fact]:
    """`package:` facts of the environment at `path`, by name. Raises UnreadableError where there is none."""
    folders = site_folders(Path(path))
    found: list[Fact] = []
    for folder in folders:
        found += _python(folder)
        for entry in sorted(os.scandir(folder), key=lambda one: one.name)[:MAX_PACKAGES]:
            if entry.name.endswith((".dist-info", ".egg-info")):
                found += _package(Path(entry.path))
    if not any(fact.key != "package:python" for fact in found):
        raise UnreadableError(f"{path} has no installed packages: name an interpreter, a virtual environment or site-packages.")
    return found


def site_folders(path: Path) -> list[Path]:
    """The folders that packages of this interpreter or environment are installed in."""
    if not path.exists():
        raise UnreadableError(f"{path} does not exist: check the path.")
    if path.is_file() and not path.name.lower().startswith(("python", "pypy")):
        raise UnreadableError(f"{path} is no Python interpreter: name one, a virtual environment or site-packages.")
    if path.is_dir() and any(path.glob("*.dist-info")):
        return [path]
    for prefix in (path, *([path.parent.parent] if path.is_file() else [path.parent])):
        folders = [folder for pattern in _SITE_FOLDERS for folder in sorted(prefix.glob(pattern)) if folder.is_dir()]
        unique = list({os.path.realpath(folder): folder for folder in reversed(folders)}.values())[::-1]
        if unique:
            return unique
    raise UnreadableError(f"{path} has no site-packages: name an interpreter, a virtual environment or site-packages.")


def _python(folder: Path) -> Iterator[Fact]:
    named = _PYTHON.search(folder.parent.name)
    if named:
        yield from packages.facts("python", named["version"], SourceRef(str(folder), 1, folder.parent.name), 2)


def _package(folder: Path) -> Iterator[Fact]:
    name, file = "", _metadata(folder)
    if file is None:
        return
    try:
        with file.open(encoding="utf-8", errors="replace") as lines:
            for number, line in enumerate(lines, 1):
                key, found, value = line.strip().partition(": ")
                if key == "Name" and found:
                    name = value.strip()
                elif key == "Version" and found and name:
                    yield from packages.facts(name, value.strip(), SourceRef(str(file), number, line.strip()[:300]), 2)
                    return
                if not key or number > MAX_HEADER:
                    return
    except OSError:
        return


def _metadata(folder: Path) -> Path | None:
    candidates = (folder / "METADATA", folder / "PKG-INFO", folder)
    return next((file for file in candidates if file.is_file()), None)
