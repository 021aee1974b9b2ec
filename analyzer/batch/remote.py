"""Runs in object stores and on other machines (`s3://`, `gs://`, `hf://`, `sftp://`, `memory://`): the only user of fsspec.

Credentials are found the way each file system finds them (environment, profile, metadata service). A run's files are
fetched in ranges into a temporary folder, judged there, and spoken of under their URLs; what is written goes up whole.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

from analyzer.batch.names import inside
from analyzer.errors import AnalyzerError, UsageError
from parsers.discover import RunFiles, runs_among
from parsers.tree import Choice

RANGE: Final = 8 * 2**20
"""Bytes that are asked for at a time."""
_URL: Final = re.compile(r"[a-z][a-z0-9+.-]+://")
_PASSWORD: Final = re.compile(r"[a-z][a-z0-9+.-]+://[^/@:]*:[^/@]*@")


def is_url(path: str) -> bool:
    """Whether a path names something in another file system."""
    return _URL.match(path) is not None


def find_runs(url: str, choice: Choice | None = None, begin: float = 0.0) -> Iterator[RunFiles]:
    """The runs below a URL, each with the marks (size, ETag, time) that tell whether its files changed.

    `choice`: patterns, as for folders; `begin`: runs of which no file was written to since then are left out, as far as the
    file system tells.
    """
    system, top = _system(url)
    try:
        listed = system.find(top, detail=True)
    except Exception as error:
        raise AnalyzerError(f"{url} cannot be listed ({_told(error)}): check the address and the credentials.") from None
    found = {_url(url, top, path): info for path, info in listed.items()}
    for run in runs_among(url.rstrip("/"), sorted(found), choice, _content):
        if not begin or max(_time(found[file]) for file in run.files) >= begin:
            yield RunFiles(run.root, run.files, tuple(_mark(found[file]) for file in run.files))


def _url(url: str, top: str, path: str) -> str:
    """The URL of a listed path: below the one that was asked for, with its host and its user."""
    if path == top or path.startswith(top.rstrip("/") + "/"):
        return url.rstrip("/") + path[len(top.rstrip("/")) :]
    return f"{url.partition('://')[0]}://{path.lstrip('/')}"


def _content(url: str) -> bytes:
    """A small file; nothing where it cannot be read, as with an ignore file on disk."""
    system, path = _system(url)
    try:
        found: bytes = system.cat_file(path)
    except Exception:
        return b""
    return found


def _time(info: dict[str, Any]) -> float:
    """When a file was written to last, in seconds since the epoch; infinity where the file system does not tell."""
    for key in ("mtime", "LastModified", "updated", "last_modified", "created"):
        value = info.get(key)
        if isinstance(value, str):
            try:
                value = datetime.fromisoformat(value.replace("Z", "+00:00"))
            except ValueError:
                continue
        if isinstance(value, datetime):
            return (value if value.tzinfo else value.replace(tzinfo=timezone.utc)).timestamp()
        if isinstance(value, int | float):
            return float(value)
    return math.inf


def _mark(info: dict[str, Any]) -> str:
    named = (info.get(key) for key in ("ETag", "etag", "md5Hash", "blob_id", "mtime", "LastModified", "updated", "created"))
    return f"{info.get('size')} {next((str(value) for value in named if value), '')}"


@contextmanager
def staged(files: RunFiles) -> Iterator[tuple[RunFiles, str]]:
    """The run's files in a temporary folder: (the run there, that folder)."""
    base = os.path.dirname(files.root) if files.root in files.files else files.root
    with tempfile.TemporaryDirectory(prefix="nanalyze-") as place:
        here = {url: inside(place, os.path.relpath(url, base)) for url in files.files}
        for url, path in here.items():
            _fetch(url, path)
        yield RunFiles(here.get(files.root, place), tuple(here.values())), place


def _fetch(url: str, path: str) -> None:
    from parsers import UnreadableError

    os.makedirs(os.path.dirname(path), exist_ok=True)
    system, there = _system(url)
    try:
        with system.open(there, "rb", block_size=RANGE) as source, open(path, "wb") as target:
            shutil.copyfileobj(source, target, RANGE)
    except Exception as error:
        raise UnreadableError(f"{url} cannot be read ({_told(error)}): check the address and the credentials.") from None


@contextmanager
def folder_for(target: str) -> Iterator[Path]:
    """A folder to write into: the target itself, or one that goes up to the URL when everything in it is written."""
    if not is_url(target):
        yield Path(target)
        return
    with tempfile.TemporaryDirectory(prefix="nanalyze-") as place:
        yield Path(place)
        system, there = _system(target)
        try:
            for path in sorted(path for path in Path(place).rglob("*") if path.is_file()):
                system.put_file(str(path), f"{there.rstrip('/')}/{path.relative_to(place).as_posix()}")
        except Exception as error:
            raise UsageError(f"{target} cannot be written ({_told(error)}): check the address and the credentials.") from None


def _system(url: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise UsageError(f"{url} needs fsspec: pip install 'nanalyze[remote]' and the file system's own package.") from None
    scheme = url.partition("://")[0]
    if _PASSWORD.match(url):
        raise UsageError(
            f"leave the password out of the {scheme}:// URL, it would stand in every report: "
            f"use a key, or set FSSPEC_{scheme.upper()}_PASSWORD."
        )
    try:
        system, path = url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise UsageError(f"{url} cannot be reached ({error}).") from None
    except Exception as error:  # whatever a client raises when it logs in
        raise AnalyzerError(f"{url} cannot be reached ({_told(error)}): check the address and the credentials.") from None
    return system, str(path)


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ").splitlines()[0][:200]
