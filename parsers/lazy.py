"""Patterns that compile when they are first used: importing thirty readers must not cost thirty compilations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any


class Lazy:
    """A regular expression of `re`, compiled on first use."""

    def __init__(self, pattern: str, flags: int = 0) -> None:
        self.pattern = pattern
        self._flags = flags

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.pattern, self._flags)

    def match(self, text: str, start: int = 0) -> re.Match[str] | None:
        """`re.Pattern.match` at `start`."""
        return self._compiled.match(text, start)

    def search(self, text: str, start: int = 0) -> re.Match[str] | None:
        """`re.Pattern.search` from `start` on."""
        return self._compiled.search(text, start)

    def fullmatch(self, text: str) -> re.Match[str] | None:
        """`re.Pattern.fullmatch`."""
        return self._compiled.fullmatch(text)

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        """`re.Pattern.finditer`."""
        return self._compiled.finditer(text)

    def findall(self, text: str) -> list[Any]:
        """`re.Pattern.findall`."""
        return self._compiled.findall(text)

    def sub(self, replacement: str, text: str, count: int = 0) -> str:
        """`re.Pattern.sub`."""
        return self._compiled.sub(replacement, text, count)
