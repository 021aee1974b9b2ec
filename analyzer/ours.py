"""Files that this tool wrote and may write again: what somebody else wrote, or changed since, is never overwritten.

The last line of `APPLY.md` is the record: a comment that holds the digest of every file as it was written into the folder. A file
whose content is another one is somebody's work, whatever it is called.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from analyzer.errors import UsageError

RECORD: Final = "APPLY.md"
MAX_BYTES: Final = 2**22
_OPEN: Final = "<!-- written by nanalyze; a changed file is never overwritten: "
_CLOSE: Final = " -->"


def signed(folder: Path, files: Mapping[str, str]) -> dict[str, str]:
    """The files with the record in `APPLY.md`, which must be among them; earlier entries of the folder's record are kept.

    Raises UsageError, before anything is written, where one of them would replace a file that is not ours.
    """
    known = recorded(folder)
    for name, text in files.items():
        if not _is_ours(folder / name, text, known.get(name, "")):
            raise UsageError(
                f"{folder / name} was not written by --fix-dir, or was changed since: move it away or choose another --fix-dir."
            )
    now = {**known, **{name: _digest(text) for name, text in files.items()}}
    entries = " ".join(f"{name}={digest}" for name, digest in sorted(now.items()) if " " not in name and "--" not in name)
    return {**files, RECORD: f"{files[RECORD]}\n{_OPEN}{entries}{_CLOSE}\n"}


def recorded(folder: Path) -> dict[str, str]:
    """Name → digest of the files that the folder's record names; empty where there is none."""
    return dict(_entries(_text(folder / RECORD) or ""))


def _entries(text: str) -> Iterator[tuple[str, str]]:
    for word in _record(text).split():
        name, sign, digest = word.partition("=")
        if sign:
            yield name, digest


def _record(text: str) -> str:
    """What the record holds; empty where it is not the very end of the text: somebody wrote below it."""
    last = text.removesuffix("\n").rpartition("\n")[2]
    return last[len(_OPEN) : -len(_CLOSE)] if last.startswith(_OPEN) and last.endswith(_CLOSE) else ""


def _is_ours(path: Path, text: str, digest: str) -> bool:
    """Whether a path is free, holds this text already, or holds what the record says."""
    if not path.is_symlink() and not path.exists():
        return True
    there = None if path.is_symlink() else _text(path)
    if there is None:
        return False
    if path.name == RECORD and _record(there):
        there = there[: there.rindex(f"\n{_OPEN}")]
    return there == text or (bool(digest) and _digest(there) == digest)


def _text(path: Path) -> str | None:
    """The text of a small file, None where it cannot be read as one."""
    try:
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            return None
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
