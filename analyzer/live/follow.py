"""The files of one run while they grow → the run as it stands, and in the end the diagnosis of the finished files.

`follow(paths)` answers with a `Follower` a run: a log, several logs of its ranks, or what a folder holds. Files may appear
later, be rotated (`run.log` → `run.log.1`, which is then read as the run's earlier part), truncated or replaced.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

from analyzer.diagnosis import Options, judge, known_signatures
from analyzer.model import Diagnosis
from parsers import Run, UnreadableError
from parsers.discover import RunFiles, find_runs
from parsers.growing import Growing
from parsers.read import combine, jobs_of
from parsers.source import STDIN

MAX_RUNS: Final = 200
"""Runs that are followed at once: more are a batch for `analyze scan`."""


class Follower:
    """One run's files. `poll` reads what is new, `run` is what they say so far."""

    def __init__(self, files: RunFiles, options: Options | None = None) -> None:
        self.root = files.root
        self._options = options or Options()
        self._growing: dict[str, Growing] = {}
        self._moved: dict[str, list[str]] = {}
        self._files: tuple[str, ...] = ()
        self.update(files)

    @property
    def files(self) -> tuple[str, ...]:
        """The files of the run in the order in which they are read: a log's rotated parts before it."""
        return tuple(part for path in self._files for part in (*self._moved.get(path, ()), path))

    @property
    def exists(self) -> bool:
        """Whether anything of the run was there to be read."""
        return any(one.exists for one in self._growing.values())

    @property
    def behind(self) -> int:
        """Bytes that stand in the files and were not read yet."""
        return sum(one.behind for one in self._growing.values())

    @property
    def beats(self) -> int:
        """Signs of progress so far, of all files."""
        return sum(one.beats for one in self._growing.values())

    @property
    def alarms(self) -> int:
        """Records so far that should be judged at once."""
        return sum(one.alarms for one in self._growing.values())

    @property
    def has_half_said(self) -> bool:
        """Whether a file ends in what would be a sign of failure if nothing more came."""
        return any(one.has_half_said for one in self._growing.values())

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(one.size for one in self._growing.values())

    @property
    def restarts(self) -> int:
        """How often one of the files began anew."""
        return sum(one.restarts for one in self._growing.values())

    @property
    def is_thinned(self) -> bool:
        """Whether the middle of a very long log was dropped; the last word reads it again."""
        return any(one.is_thinned for one in self._growing.values())

    def update(self, files: RunFiles) -> bool:
        """Takes over what a new look into the folder found; whether there are files that were not there before."""
        known, self._files = set(self._files), files.files
        return self._adopt() or not set(self._files) <= known

    def poll(self) -> bool:
        """Reads what is new, at most one piece of each file; whether anything changed."""
        changed = False
        for path, one in list(self._growing.items()):
            changed = one.poll() or changed
            if one.moved_to:
                moved, one.moved_to = one.moved_to, ""
                parts = self._moved.setdefault(path, [])
                parts[:] = [_rotated(part, path) for part in parts if part != moved]
                parts.append(moved)
                self._adopt()
        return changed

    def run(self, is_over: bool = False) -> Run:
        """What the files say so far. Raises UnreadableError where none can be read."""
        parts = [self._growing[path].part(is_over) for path in self.files if self._growing[path].exists]
        paths = [path for path in self.files if self._growing[path].exists]
        if not paths:
            raise UnreadableError(f"{self.root} does not exist: check the path.")
        return combine(paths, parts, self._options.facts)

    def final(self) -> Diagnosis:
        """The diagnosis of the files as they stand now: what `analyze` says of them. Raises UnreadableError like it."""
        return self._judged([one.final() for one in self._ordered()])

    def so_far(self, is_over: bool = False) -> Diagnosis:
        """The whole diagnosis of what was read so far, causes and quotes with it; the files go on growing."""
        return self._judged([one.part(is_over) for one in self._ordered()])

    def text(self, file: str, line: int) -> str:
        """A line's text, '' where it cannot be had."""
        return self._growing[file].text(line) if file in self._growing else ""

    def close(self) -> None:
        """Lets go of the files."""
        for one in self._growing.values():
            one.close()

    def _ordered(self) -> list[Growing]:
        return [self._growing[path] for path in self.files]

    def _judged(self, parts: Sequence[object]) -> Diagnosis:
        paths = list(self.files)
        diagnosis = judge(combine(paths, parts, self._options.facts), self._options)  # type: ignore[arg-type]
        return replace(diagnosis, run=replace(diagnosis.run, source=self.root)) if len(paths) > 1 else diagnosis

    def _adopt(self) -> bool:
        """Begins to follow files that were not followed before, and lets go of those that are gone from the run."""
        added = False
        for job in jobs_of(self.files):
            if job.path not in self._growing:
                self._growing[job.path] = Growing(job, known_signatures(), self._options.strict)
                added = True
        for path in set(self._growing) - set(self.files):
            self._growing.pop(path).close()
        return added


def _rotated(part: str, path: str) -> str:
    """Where an earlier part lies after another rotation: `run.log.1` has become `run.log.2`."""
    number = part.removeprefix(path + ".")
    following = f"{path}.{int(number) + 1}" if number.isdigit() else part
    return following if os.path.exists(following) else part


def runs_at(paths: Sequence[str]) -> list[RunFiles]:
    """The runs that these paths hold now. A path that is not there (yet) is a log to wait for."""
    missing = [path for path in paths if not os.path.lexists(path)]
    there = [path for path in paths if path not in missing]
    found: list[RunFiles] = []
    with suppress(OSError):
        found = list(find_runs(there)) if there else []
    return [*found, *(RunFiles(path, (path,)) for path in missing)]


def check(paths: Sequence[str]) -> None:
    """Raises UnreadableError for what cannot be followed."""
    if STDIN in paths:
        raise UnreadableError("standard input cannot be watched: name a file, or let `analyze run -- CMD` start the program.")
    for path in paths:
        folder = os.path.dirname(path) or "."
        if not os.path.lexists(path) and not os.path.isdir(folder):
            raise UnreadableError(f"{folder} does not exist, so {path} cannot be waited for: check the path.")
