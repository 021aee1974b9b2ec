"""`analyze compare GOOD BAD`: what differs, where the curves part, what only the bad run says, and what that is evidence for.

A good run is the best evidence there is: where exactly one of the changes that causes ask about (`tried:` facts) separates a
healthy run from one that is not, the causes of the bad run are weighed again with it. Where several changed at once, none can
be credited, and the comparison says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, TypeVar

from analyzer.cause import Cause, load_for_weighing
from analyzer.clauses import Case
from analyzer.diagnosis import Options, judge
from analyzer.differences import Difference, differences
from analyzer.differential import STRONG
from analyzer.errors import NOTHING, AnalyzerError
from analyzer.exposure import Exposure, exposure
from analyzer.interventions import Intervention, interventions_in
from analyzer.messages import Message, only_in
from analyzer.model import Diagnosis, Match
from analyzer.parting import Parting, at_once, parting
from analyzer.patterns import signatures
from analyzer.versions import in_ranges
from parsers import Environment, Fact, Run, SourceRef, UnreadableError, read
from parsers.discover import RunFiles, find_runs
from parsers.source import quote

METRICS: Final = ("loss", "grad_norm", "loss_scale", "lr", "eval_loss", "accuracy", "eval_accuracy", "throughput_samples",
                  "throughput_tokens", "step_time", "memory_gpu")  # fmt: skip
OPTION: Final = "comparison"


class Side(NamedTuple):
    """One of the two runs: what was read, and what was judged."""

    run: Run
    diagnosis: Diagnosis


@dataclass(frozen=True, slots=True)
class Suspect:
    """A package that lies in a known cause's window in the bad run and outside it in the good one."""

    exposure: Exposure
    package: str
    good: str
    bad: str
    windows: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs side by side. `bad` is judged anew where one change alone separates them (`credited`)."""

    good: Diagnosis
    bad: Diagnosis
    differences: tuple[Difference, ...]
    partings: tuple[Parting, ...]
    messages: tuple[Message, ...]
    suspects: tuple[Suspect, ...]
    interventions: tuple[Intervention, ...]
    credited: bool = False

    @property
    def first(self) -> Parting | None:
        """The parting that comes first, the loss before others at the same step; the schedule is a setting, not an outcome."""
        apart = [one for one in self.partings if one.step is not None and one.metric != "lr"]
        apart = apart or [one for one in self.partings if one.step is not None]
        return min(apart, key=lambda one: (one.step or 0, METRICS.index(one.metric)), default=None)

    @property
    def changes(self) -> tuple[Difference, ...]:
        """Settings that both runs name and that differ, incidental ones left out."""
        return tuple(one for one in self.differences if one.is_change and not one.is_incidental)

    @property
    def leading(self) -> Match | None:
        """The cause that the bad run's diagnosis lists first."""
        return self.bad.causes[0] if self.bad.causes else None


def side(path: str, options: Options) -> Side:
    """Reads and judges one run. Raises AnalyzerError where a path holds none or several."""
    runs = list(find_runs([path]))
    if len(runs) != 1:
        found = f"{len(runs)} runs" if runs else "no log, event file or Trainer state"
        raise AnalyzerError(f"{path} holds {found}: name the log or the folder of one run.", NOTHING)
    return _judged(runs[0], options)


def is_pair(paths: Sequence[str]) -> bool:
    """Whether these are two runs, rather than folders that hold several each."""
    return len(paths) == 2 and all(len(list(find_runs([path]))) <= 1 for path in paths)


def sides(paths: Sequence[str], options: Options) -> list[Side]:
    """Reads and judges every run below some paths; what cannot be read is left out. Raises AnalyzerError where none is."""
    found = []
    for files in find_runs(paths):
        try:
            found.append(_judged(files, options))
        except UnreadableError:
            continue
    if not found:
        raise AnalyzerError(f"no run below {' '.join(paths)}: nothing that looks like a log or an event file.", NOTHING)
    return found


def _judged(files: RunFiles, options: Options) -> Side:
    run = read(files.files, signatures(load_for_weighing()), options.facts, options.strict)
    run.source = files.root
    return Side(run, judge(run, options))


def compare(good: Side, bad: Side, options: Options) -> Comparison:
    """Everything that differs between the two."""
    found = differences(good.run.environment, bad.run.environment)
    told = bad.diagnosis
    interventions = tuple(interventions_in(found)) if good.diagnosis.verdict == "healthy" and told.loud() else ()
    credited = len({one.fact for one in interventions}) == 1 and interventions[0].is_asked
    if credited:
        told = judge(_with(bad.run, interventions[0]), options)
    partings = tuple(_partings(good.run, bad.run))
    cited = [ref for one in found for ref in (one.good_ref, one.bad_ref)]
    cited += [ref for part in partings for ref in (part.good_ref, part.bad_ref)]
    quoted = quote([ref for ref in cited if ref is not None])[0]
    return Comparison(
        good.diagnosis, told, tuple(_filled(one, quoted) for one in found), tuple(_filled(one, quoted) for one in partings),
        only_in(bad.run.files, good.run.files), tuple(_suspects(good.run, bad.run)), interventions, credited,
    )  # fmt: skip


Cited = TypeVar("Cited", Difference, Parting)


def _filled(one: Cited, quoted: Mapping[SourceRef, SourceRef]) -> Cited:
    """The same with the text of the lines that it cites."""
    good, bad = (None if ref is None else quoted.get(ref, ref) for ref in (one.good_ref, one.bad_ref))
    return replace(one, good_ref=good, bad_ref=bad)


def _with(run: Run, one: Intervention) -> Run:
    """The bad run with the answer that the good one gives."""
    refs = one.difference.good_ref or SourceRef(OPTION, 1)
    ref = SourceRef(refs.file, refs.line, refs.text or f"{one.difference.name} = {one.difference.good}")
    return replace(run, environment=Environment([*run.environment, Fact(one.fact, "healed", ref, given=True)]))


def _partings(good: Run, bad: Run) -> Iterator[Parting]:
    for metric in METRICS:
        ours, theirs = good.series(metric), bad.series(metric)
        if ours is not None and theirs is not None:
            found = parting(ours, theirs)
            if found is not None:
                early = _at_once(good, bad) if metric == "grad_norm" else None
                yield early if early and early.step is not None and (found.step is None or early.step < found.step) else found


def _at_once(good: Run, bad: Run) -> Parting | None:
    losses, norms = ((good.series(metric), bad.series(metric)) for metric in ("loss", "grad_norm"))
    if losses[0] is None or losses[1] is None or norms[0] is None or norms[1] is None:
        return None
    return at_once((losses[0], losses[1]), (norms[0], norms[1]))


def _suspects(good: Run, bad: Run) -> Iterator[Suspect]:
    """Known causes whose window the bad run entered with a change of a package's version."""
    case = Case.of(bad, [], [])
    for cause in load_for_weighing():
        for package, before, after, windows in _entered(cause, good.environment, bad.environment):
            found = exposure(cause, case)
            if found is not None:
                yield Suspect(found, package, before, after, windows)


def _entered(cause: Cause, good: Environment, bad: Environment) -> Iterator[tuple[str, str, str, str]]:
    for package in dict.fromkeys(entry["package"] for entry in cause.affects):
        before, after = good.get(f"package:{package}"), bad.get(f"package:{package}")
        if before is None or after is None or before.value is None or after.value is None:
            continue
        for windows in _windows(cause, package):
            if in_ranges(str(after.value), windows) and in_ranges(str(before.value), windows) is False:
                yield package, str(before.value), str(after.value), windows
                break


def _windows(cause: Cause, package: str) -> Iterator[str]:
    """The versions that a cause affects, then those in which it is common: what speaks strongly for it."""
    yield " || ".join(entry["versions"] for entry in cause.affects if entry["package"] == package)
    for spec in cause.evidence:
        name, found, ranges = spec.whens[0].partition(" in ")
        if found and name == f"package:{package}" and len(spec.whens) == 1 and spec.if_met >= STRONG and " and " not in ranges:
            yield ranges
