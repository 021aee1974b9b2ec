"""`diagnose(paths)`: the only place that knows the order of things. A pure function of the bytes it is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from analyzer import cause as causes_module
from analyzer.cascade import first_cause
from analyzer.clauses import Case
from analyzer.curves import curves
from analyzer.differential import differential
from analyzer.fates import fates
from analyzer.model import Diagnosis, Evidence, Failure, Outcome, RunSummary, Verdict
from analyzer.outcome import outcome, verdict
from analyzer.patterns import signatures
from analyzer.project import Project
from analyzer.quotes import with_quotes
from analyzer.symptoms import Wishes, symptoms
from analyzer.timeline import timeline
from parsers import Fact, Run, Signature, UnreadableError, read
from parsers.discover import RunFiles, find_runs


@dataclass(frozen=True, slots=True)
class Options:
    """What the user chose: rules to run or leave out, facts stated beside the log, whether our own errors re-raise.

    `project`: what a project file says (nothing is looked for here); `rules`: folders of the user's own rules.
    """

    only: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    strict: bool = False
    project: Project = field(default_factory=Project)
    rules: tuple[Path, ...] = ()

    @property
    def wishes(self) -> Wishes:
        """The part that the rules need to know."""
        return Wishes(self.only, self.ignore, self.project, self.rules, self.strict)


def diagnose(paths: Sequence[str | Path] | str | Path, options: Options | None = None) -> Diagnosis:
    """Reads the files of one run and judges it: the document that `analyze PATH…` gives for the same paths.

    A directory stands for the files of the one run that it holds; a log that is named alone brings along what
    `parsers.discover` takes for its run's (rotated pieces, the ds_config and freeze beside it). Raises
    parsers.UnreadableError where nothing can be opened or a directory holds several runs. A run in which nothing was
    recognised has the verdict `unjudged`.
    """
    return examined(run_of(paths), options or Options())[1]


def examined(files: RunFiles, options: Options) -> tuple[Run, Diagnosis]:
    """The run that these files are, and its diagnosis, which names the run as they do."""
    run, diagnosis = examine(files.files, options)
    if len(files.files) > 1:
        diagnosis = replace(diagnosis, run=replace(diagnosis.run, source=files.root))
    return run, diagnosis


def examine(files: Sequence[str | Path], options: Options) -> tuple[Run, Diagnosis]:
    """Reads just these files as one run, and judges it."""
    run = read(files, known_signatures(), options.facts, options.strict)
    return run, judge(run, options)


def run_of(paths: Sequence[str | Path] | str | Path) -> RunFiles:
    """The one run that these paths are, found as the command finds it; several files are one run, as the caller says.

    Raises UnreadableError where a path is not there, or a directory holds no run or several.
    """
    several = [paths] if isinstance(paths, str | Path) else list(paths)
    runs = list(find_runs(several))
    if len(runs) == 1:
        return runs[0]
    parts = [_only_run(path) if Path(path).is_dir() else RunFiles(str(path), (str(path),)) for path in several]
    return RunFiles(parts[0].root if parts else "", tuple(file for part in parts for file in part.files))


def _only_run(folder: str | Path) -> RunFiles:
    runs = list(find_runs([folder]))
    if len(runs) != 1:
        many = f"holds {len(runs)} runs: name one, or scan it" if runs else "holds no log and no event file: name the file itself"
        raise UnreadableError(f"{folder} {many}.")
    return runs[0]


@cache
def known_signatures() -> tuple[Signature, ...]:
    """The causes' patterns: worked out once, however many runs are judged."""
    return signatures(causes_module.load_for_weighing())


def judge(run: Run, options: Options | None = None) -> Diagnosis:
    """Judges a run that was read already."""
    options = options or Options()
    found = symptoms(run, options.wishes)
    findings = found.weighted(options.project)
    began = first_cause(run, findings)
    first = findings[began.finding] if began else None
    case = Case.of(run, found.findings, [skip.rule for skip in found.skips], first)
    matches, notes, broken = differential(causes_module.load_for_weighing(), case, options.strict)
    diagnosis = Diagnosis(
        run=_summary(run, outcome(run), verdict(run, findings, matches)),
        findings=findings,
        causes=matches,
        notes=notes,
        first_cause=began,
        timeline=timeline(run, findings),
        ranks=fates(run, began),
        skips=found.skips,
        problems=tuple((problem.ref, problem.reader, problem.reason) for problem in run.problems),
        failures=(*found.failures, *(Failure(reader, text) for reader, text in run.failures), *broken),
        ignored=found.ignored,
        ignored_because=found.reasons,
    )
    return with_quotes(diagnosis)


def _summary(run: Run, ended: Outcome, judged: Verdict) -> RunSummary:
    keyed: dict[str, dict[str, Fact]] = {"package": {}, "config": {}, "hardware": {}, "arg": {}}
    for key, fact in run.environment.under(""):
        prefix, _, name = key.partition(":")
        if prefix in keyed:
            keyed[prefix][name] = fact
    return RunSummary(
        source=run.source,
        files=run.files,
        readers=run.readers,
        first_step=run.first_step,
        last_step=run.last_step,
        planned_steps=run.planned_steps,
        step_source=run.step_source,
        curves=curves(run),
        packages={name: str(fact.value) for name, fact in keyed["package"].items()},
        config={name: fact.value for name, fact in keyed["config"].items()},
        hardware={name: fact.value for name, fact in keyed["hardware"].items()},
        arguments={name: fact.value for name, fact in keyed["arg"].items()},
        environment_refs={fact.key: fact.ref for group in keyed.values() for fact in group.values()},
        outcome=ended,
        verdict=judged,
    )


__all__ = ["Evidence", "Options", "diagnose", "judge"]
