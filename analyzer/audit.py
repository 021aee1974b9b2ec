"""`analyze audit`: the known causes that an environment is exposed to, before anything was run.

Takes what says which versions and settings a run will have: requirements, freezes, lock files, a pyproject.toml, ds_config, a
log of an earlier run, an interpreter. Judges versions that are exact; a range (`deepspeed>=0.12`) says what is allowed, not
what is installed, and is listed as open.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

from analyzer.cause import complete, load_for_weighing
from analyzer.clauses import Case
from analyzer.errors import AnalyzerError, UsageError
from analyzer.exposure import Exposure, exposure
from analyzer.model import SEVERITIES, Severity
from analyzer.patterns import signatures
from analyzer.versions import in_ranges
from parsers import Fact, Run, SourceRef, packages, read
from parsers.discover import kind_of

PROJECTS: Final = Path(__file__).parent / "recommended.toml"
MAX_BYTES: Final = 2**22
_RANGE: Final = re.compile(
    r"(?P<name>[A-Za-z0-9][\w.-]{0,80})(?:\[[\w, -]{0,80}\])?\s?"
    r"(?P<range>(?:[<>~!]=?|={1,3}\s?[\d.]*\*)[^;#\s]{0,80})?\s*(?:[;#].*)?$"
)


@dataclass(frozen=True, slots=True)
class Deviation:
    """A package that a project asks for in another version than the environment holds (`found` None: it is not there)."""

    package: str
    wanted: str
    found: str | None
    ref: SourceRef | None
    source: str


@dataclass(frozen=True, slots=True)
class Open:
    """A package whose version a requirement leaves open, and that some known cause asks for."""

    package: str
    allowed: str
    ref: SourceRef


@dataclass(frozen=True, slots=True)
class Audit:
    """What an environment is exposed to, loudest first."""

    files: tuple[str, ...]
    packages: tuple[Fact, ...]
    exposures: tuple[Exposure, ...]
    open: tuple[Open, ...] = ()
    project: str = ""
    deviations: tuple[Deviation, ...] = ()

    def is_loud(self, at_least: Severity) -> bool:
        """Whether anything is at this level or above; another version than a project pins is a warning."""
        limit = SEVERITIES.index(at_least)
        levels = [one.level for one in self.exposures] + ["warning" for one in self.deviations if one.found]
        return any(SEVERITIES.index(level) <= limit for level in levels)


def audit(paths: Sequence[str], facts: Sequence[Fact] = (), project: str = "") -> Audit:
    """Audits what these files (and folders) and stated facts say; without any, the files of the working directory.

    Raises AnalyzerError where nothing is said about an environment, UsageError for a project that we do not know.
    """
    wanted = recommended(project) if project else {}
    files = tuple(_files(paths or ([] if facts else ["."])))
    run = read(files, signatures(load_for_weighing()), facts) if files else Run("", environment=_environment(facts))
    for problem in run.problems:
        if problem.reader == "ds_config":
            raise AnalyzerError(f"{problem.ref.file} is {problem.reason}. Mend it first.")
    known = tuple(fact for name, fact in run.environment.under("package:"))
    if not known and not any(True for _ in run.environment.under("config:")):
        raise AnalyzerError(_nothing(paths, tuple(_open(files, run))))
    case = Case.of(run, [], [])
    found = [one for cause in load_for_weighing() if (one := exposure(cause, case))]
    told = [replace(one, cause=complete(one.cause.id)) for one in sorted(found, key=lambda one: one.order)]
    return Audit(files, known, tuple(told), tuple(_open(files, run)), project, tuple(_deviations(run, wanted)))


def _nothing(paths: Sequence[str], left_open: Sequence[Open]) -> str:
    """Why nothing can be judged: ranges alone, or not even those."""
    places = ", ".join(paths) or "this directory"
    if not left_open:
        return f"nothing in {places} says which versions are installed: name a freeze, a lock file or a log."
    named = ", ".join(f"{one.package} {one.allowed}" for one in left_open[:3])
    return f"{places} leaves the versions open ({named}): name a pip freeze or a lock file, or the interpreter with --python."


def _environment(facts: Sequence[Fact]) -> Any:
    from parsers import Environment

    return Environment(facts)


def _files(paths: Sequence[str]) -> Iterator[str]:
    """The files named, and those of folders that are about an environment. One that is missing is no clean bill for the rest."""
    for path in paths:
        if path != "-" and not os.path.exists(path):
            raise AnalyzerError(f"{path} does not exist: check the path.")
        if not os.path.isdir(path):
            yield path
            continue
        named = sorted(entry.name for entry in os.scandir(path) if entry.is_file())
        inside = [os.path.join(path, name) for name in named if kind_of(name) == "environment" or name == "pyproject.toml"]
        if not inside:
            raise AnalyzerError(f"{path} holds no requirements, lock file or ds_config: name the file itself.")
        yield from inside


def _open(files: Sequence[str], run: Run) -> Iterator[Open]:
    """Requirements without an exact version, of packages that some cause has a window for."""
    judged = {entry["package"] for cause in load_for_weighing() for entry in cause.affects}
    for file in files:
        path = Path(file)
        if path.suffix not in (".txt", ".in") or not path.is_file() or path.stat().st_size > MAX_BYTES:
            continue
        if not any(word in path.name.lower() for word in ("req", "constraint")):
            continue
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1):
            found = _RANGE.match(line.strip()[:300])
            name = packages.canonical(found["name"]) if found else ""
            if found and name in judged and run.environment.get(f"package:{name}") is None:
                yield Open(name, found["range"] or "any version", SourceRef(file, number, line.strip()[:300]))


@cache
def _projects() -> dict[str, Any]:
    import tomli

    return tomli.loads(PROJECTS.read_text("utf-8"))


def recommended(project: str) -> dict[str, Any]:
    """What a project asks for: title, pins, source, note; case does not count. Raises UsageError for one that we do not know."""
    name = project.lower()
    if name not in _projects():
        raise UsageError(f"no pins are known of a project {project!r}: known are {', '.join(sorted(_projects()))}.")
    return dict(_projects()[name])


def _deviations(run: Run, wanted: dict[str, Any]) -> Iterator[Deviation]:
    for package, ranges in wanted.get("pins", {}).items():
        fact = run.environment.get(f"package:{package}")
        found = None if fact is None or fact.value is None else str(fact.value)
        if found is None or in_ranges(found, ranges) is False:
            yield Deviation(package, ranges, found, fact.ref if fact else None, wanted["source"])
