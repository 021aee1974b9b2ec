"""Result documents as they come: to standard output at once, to a file whole or not at all."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TextIO

from analyzer.errors import UsageError
from analyzer.writing import permissions


class Stream:
    """JSON Lines, or one JSON array of the same documents."""

    def __init__(self, target: Path | None, is_array: bool) -> None:
        self._target, self._is_array, self._count = target, is_array, 0
        self._temporary: str | None = None
        self._file: TextIO = sys.stdout
        if target is not None:
            try:
                handle, self._temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
            except OSError as error:
                raise self._unwritable(error) from None
            self._file = os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace", newline="\n")

    def add(self, line: str) -> None:
        """One document."""
        before = ("[\n" if not self._count else ",\n") if self._is_array else ""
        self._count += 1
        self._write(before + line + ("" if self._is_array else "\n"))
        if self._target is None and not self._is_array:
            self._file.flush()

    def close(self) -> None:
        """Ends the output; the file gets its name."""
        if self._is_array:
            self._write("\n]\n" if self._count else "[]\n")
        if self._target is None or self._temporary is None:
            return
        try:
            self._file.close()
            permissions(self._temporary)
            os.replace(self._temporary, self._target)
        except OSError as error:
            self.abandon()
            raise self._unwritable(error) from None

    def abandon(self) -> None:
        """Leaves no file behind."""
        if self._temporary is not None:
            Path(self._temporary).unlink(missing_ok=True)

    def _write(self, text: str) -> None:
        try:
            self._file.write(text)
        except BrokenPipeError:
            raise
        except OSError as error:
            self.abandon()
            raise self._unwritable(error) from None

    def _unwritable(self, error: OSError) -> UsageError:
        return UsageError(f"{self._target or 'standard output'} cannot be written ({error.strerror}): choose another place.")
