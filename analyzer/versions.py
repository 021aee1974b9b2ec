"""Version ranges of causes (`>=0.12.4,<0.14.3 || ==0.17.*`), answered without `packaging.specifiers`: its import costs as
much as weighing all causes. The meaning is PEP 440's, pre-releases admitted; a test compares both.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from packaging.version import Version

Check = Callable[["Version"], bool]
_SPECIFIER: Final = re.compile(r"\s*(~=|==|!=|<=|>=|<|>)\s*([\w.!+*-]+)\s*")
_LEADING: Final = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,18})*")


@cache
def in_ranges(version: str, ranges: str) -> bool | None:
    """Whether a version lies in any of the ranges joined by `||`; None where it is no version. Local parts do not count.

    Raises ValueError where a range is malformed.
    """
    parsed = _version(version)
    if parsed is None:
        return None
    return any(all(check(parsed) for check in _checks(part)) for part in ranges.split("||"))


def _version(text: str) -> Version | None:
    """The public version in `text`, or what stands at its beginning (`2.1.0a0git123` of a source build)."""
    from packaging.version import InvalidVersion, Version

    try:
        return Version(Version(text).public)
    except InvalidVersion:
        leading = _LEADING.match(text)
        return Version(leading[0]) if leading else None


@cache
def _checks(part: str) -> tuple[Check, ...]:
    return tuple(_check(specifier) for specifier in part.split(","))


def _check(specifier: str) -> Check:
    from packaging.version import InvalidVersion, Version

    found = _SPECIFIER.fullmatch(specifier)
    if not found:
        raise ValueError(f"no version range: {specifier!r}")
    operator, text = found[1], found[2]
    try:
        wanted = Version(text.removesuffix(".*"))
    except InvalidVersion as error:
        raise ValueError(f"no version range: {specifier!r}") from error
    if text.endswith(".*"):
        if operator not in ("==", "!="):
            raise ValueError(f"no version range: {specifier!r}")
        return lambda version: _has_prefix(version, wanted.release) == (operator == "==")
    if operator == "~=":
        return lambda version: version >= wanted and _has_prefix(version, wanted.release[:-1])
    return _ORDER[operator](wanted)


def _has_prefix(version: Version, prefix: tuple[int, ...]) -> bool:
    padded = version.release + (0,) * len(prefix)
    return padded[: len(prefix)] == prefix


def _below(wanted: Version) -> Check:
    """`<1.2` leaves out 1.2's own pre-releases, as PEP 440 has it."""
    return lambda version: (
        version < wanted and (wanted.is_prerelease or not version.is_prerelease or version.base_version != wanted.base_version)
    )


def _above(wanted: Version) -> Check:
    """`>1.2` leaves out 1.2's own post-releases."""
    return lambda version: (
        version > wanted and (wanted.is_postrelease or not version.is_postrelease or version.base_version != wanted.base_version)
    )


_ORDER: Final[dict[str, Callable[[Version], Check]]] = {
    "==": lambda wanted: lambda version: version == wanted,
    "!=": lambda wanted: lambda version: version != wanted,
    ">=": lambda wanted: lambda version: version >= wanted,
    "<=": lambda wanted: lambda version: version <= wanted,
    "<": _below,
    ">": _above,
}
