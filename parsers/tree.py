"""The folders of a tree and the files in them, as far as the user wants to see them: for `discover`, which finds the runs.

Hidden folders and those of libraries are passed over; links are not followed unless asked for, and then every real folder
is entered once, so that links that go round end. Folders that cannot be read are noted, never fatal. A `.nanalyzeignore`
in any folder leaves out what it names, in the syntax of `.gitignore`, below that folder.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from parsers.small_files import content
from parsers.source import UnreadableError

IGNORE_FILE: Final = ".nanalyzeignore"
_SKIPPED: Final = frozenset({"__pycache__", "node_modules", "site-packages", "venv", "__MACOSX"})
MAX_IGNORE: Final = 2**20
MAX_MATCH: Final = 1.0
"""Seconds that one pattern may take over one name: `*a*a*a*a*b` asks for more steps than there will ever be time for."""


class PatternError(UnreadableError):
    """A pattern that is none, or that takes too long; the text is one sentence that says what to do."""


class Folder(NamedTuple):
    """A folder, the names of its files and of all its folders, hidden ones included."""

    place: str
    names: list[str]
    below: list[str]


@dataclass(frozen=True, slots=True)
class Choice:
    """What of a tree is looked at: patterns as in `.gitignore`, relative to the folder that was named.

    `unreadable` collects folders that could not be read.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    follow: bool = False
    unreadable: list[str] = field(default_factory=list)


class _Filter:
    """What the patterns leave out of a tree, and those of the ignore files seen so far. Raises PatternError for a bad one."""

    def __init__(self, top: str, choice: Choice) -> None:
        self._top = top
        self._wanted, self._unwanted = _spec(choice.include), _spec(choice.exclude)
        self._ignored: list[tuple[str, Any]] = []

    @property
    def is_idle(self) -> bool:
        """Whether nothing is left out."""
        return not (self._wanted or self._unwanted or self._ignored)

    def ignore(self, place: str, lines: Sequence[str]) -> None:
        """Below a folder, what its ignore file names is left out."""
        spec = _spec(lines, is_tolerant=True)
        self._ignored += [(place, spec)] if spec else []

    def is_out(self, path: str, is_folder: bool) -> bool:
        """Whether a file or folder is left out."""
        end = "/" if is_folder else ""
        name = os.path.relpath(path, self._top) + end
        if self._unwanted and self._unwanted.match_file(name):
            return True
        if self._wanted and not is_folder and not self._wanted.match_file(name):
            return True
        inner = ((os.path.relpath(path, base) + end, spec) for base, spec in self._ignored if _is_below(path, base))
        return any(spec.match_file(one) for one, spec in inner)


def walk(top: str, choice: Choice) -> Iterator[Folder]:
    """The folders of a tree, top down, in the order of names. Raises PatternError for a pattern that cannot be used."""
    entered: set[tuple[int, int]] = set()
    chosen = _Filter(top, choice)
    note = choice.unreadable.append
    for place, below, names in os.walk(top, onerror=lambda error: note(str(error.filename)), followlinks=choice.follow):
        if choice.follow and not _enter(place, entered):
            below.clear()
            continue
        if IGNORE_FILE in names:
            chosen.ignore(place, _lines(os.path.join(place, IGNORE_FILE)))
        every = list(below)
        below[:] = sorted(name for name in below if not _is_skipped(name))
        if not chosen.is_idle:
            below[:] = [name for name in below if not chosen.is_out(os.path.join(place, name), True)]
            names = [name for name in names if not chosen.is_out(os.path.join(place, name), False)]
        yield Folder(place, sorted(names), every)


def _is_skipped(name: str) -> bool:
    """Whether a folder is hidden or a library's."""
    return name.startswith(".") or name in _SKIPPED


def listed(
    top: str, paths: Sequence[str], choice: Choice | None = None, content_of: Callable[[str], bytes] = lambda _: b""
) -> Iterator[Folder]:
    """The same for a list of files (an object store has no folders); `content_of`: how an ignore file is read.

    Raises PatternError for a pattern that cannot be used.
    """
    files: dict[str, list[str]] = {}
    below: dict[str, set[str]] = {}
    chosen = _Filter(top, choice or Choice())
    for path in paths:
        place, _, name = path.rpartition("/")
        if name == IGNORE_FILE:
            chosen.ignore(place, content_of(path)[:MAX_IGNORE].decode("utf-8", "replace").splitlines())
    for path in paths:
        if not chosen.is_idle and chosen.is_out(path, False):
            continue
        place, name = path.rsplit("/", 1)
        files.setdefault(place, []).append(name)
        while "://" in place and not place.endswith(":/") and "/" in place.partition("://")[2]:
            place, name = place.rsplit("/", 1)
            below.setdefault(place, set()).add(name)
    for place in sorted({*files, *below}):
        if not any(map(_is_skipped, place.removeprefix(top).split("/"))):
            yield Folder(place, sorted(files.get(place, ())), sorted(below.get(place, ())))


def _enter(place: str, entered: set[tuple[int, int]]) -> bool:
    found = os.stat(place)
    here = found.st_dev, found.st_ino
    if here in entered:
        return False
    entered.add(here)
    return True


def _is_below(path: str, base: str) -> bool:
    return path.startswith(base.rstrip("/") + "/")


def _lines(path: str) -> tuple[str, ...]:
    try:
        return tuple(content(path, MAX_IGNORE).decode("utf-8", "replace").splitlines())
    except (OSError, UnreadableError):
        return ()


def _spec(patterns: Sequence[str], is_tolerant: bool = False) -> Any:
    """The patterns as one matcher, None where there are none. Raises PatternError, unless it is `is_tolerant` as git is."""
    if not patterns:
        return None
    from pathspec import GitIgnoreSpec

    made = []
    for pattern in patterns:
        try:
            made += [(pattern, one) for one in GitIgnoreSpec.from_lines([pattern]).patterns]
        except ValueError:
            if not is_tolerant:
                raise PatternError(f"{pattern!a} is no pattern: write it as in a .gitignore.") from None
    for pattern, one in made:
        found = getattr(one, "regex", None)
        if found is not None:
            one.regex = _Bounded(found.pattern, pattern)  # type: ignore[assignment]  # asked for `search` only
    return GitIgnoreSpec([one for _, one in made])


class _Bounded:
    """A regular expression out of somebody's pattern, with an end to the time that it takes."""

    def __init__(self, expression: str, said: str) -> None:
        import regex

        self.pattern = expression
        self._regex = regex.compile(expression)
        self._said = said

    def search(self, name: str) -> Any:
        """Likewise."""
        return self._within(self._regex.search, name)

    def match(self, name: str) -> Any:
        """As of `re`; which of the two is asked depends on the version of pathspec."""
        return self._within(self._regex.match, name)

    def _within(self, work: Callable[..., Any], name: str) -> Any:
        try:
            return work(name, timeout=MAX_MATCH)
        except TimeoutError:
            raise PatternError(f"the pattern {ascii(self._said)[:80]} takes too long: use fewer *.") from None


Walk = Callable[[str], Iterator[Folder]]
