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
from parsers.discover import find_runs
from parsers.source import STDIN


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
    """Reads the files of one run and judges it.

    A directory stands for the files of the one run that it holds. Raises parsers.UnreadableError where nothing can be
    opened or a directory holds several runs. A run in which nothing was recognised has the verdict `unjudged`.
    """
    return examine(paths, options or Options())[1]


def examine(paths: Sequence[str | Path] | str | Path, options: Options) -> tuple[Run, Diagnosis]:
    """As `diagnose`, with the run that was read."""
    several = [paths] if isinstance(paths, str | Path) else list(paths)
    files = [file for path in several for file in _files_of(path)]
    run = read(files, known_signatures(), options.facts, options.strict)
    diagnosis = judge(run, options)
    if len(several) == 1 and len(files) > 1:
        diagnosis = replace(diagnosis, run=replace(diagnosis.run, source=str(several[0])))
    return run, diagnosis


@cache
def known_signatures() -> tuple[Signature, ...]:
    """The causes' patterns: worked out once, however many runs are judged."""
    return signatures(causes_module.load_for_weighing())


def _files_of(path: str | Path) -> tuple[str | Path, ...]:
    if str(path) == STDIN or not Path(path).is_dir():
        return (path,)
    runs = list(find_runs([path]))
    if len(runs) != 1:
        many = f"holds {len(runs)} runs: name one, or scan it" if runs else "holds no log and no event file: name the file itself"
        raise UnreadableError(f"{path} {many}.")
    return runs[0].files


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
    environment = run.environment
    keyed = {prefix: dict(environment.under(prefix)) for prefix in ("package:", "config:", "hardware:", "arg:")}
    return RunSummary(
        source=run.source,
        files=run.files,
        readers=run.readers,
        first_step=run.first_step,
        last_step=run.last_step,
        planned_steps=run.planned_steps,
        step_source=run.step_source,
        curves=curves(run),
        packages={name: str(fact.value) for name, fact in keyed["package:"].items()},
        config={name: fact.value for name, fact in keyed["config:"].items()},
        hardware={name: fact.value for name, fact in keyed["hardware:"].items()},
        arguments={name: fact.value for name, fact in keyed["arg:"].items()},
        environment_refs={fact.key: fact.ref for group in keyed.values() for fact in group.values()},
        outcome=ended,
        verdict=judged,
    )


__all__ = ["Evidence", "Options", "diagnose", "judge"]
