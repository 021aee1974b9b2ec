"""Diagnoses every sample and holds the result against its provenance: the table of `docs/lab.md`."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from analyzer import Diagnosis, Options, diagnose
from analyzer.version import VERSION
from tests.samples import MET_BY, ONSET, Sample, interval, samples

BEGIN: Final = "<!-- written by `python -m lab check --write` -->"
END: Final = "<!-- end -->"


@dataclass(frozen=True)
class Result:
    """A sample's diagnosis beside its label."""

    sample: Sample
    diagnosis: Diagnosis

    @property
    def label(self) -> dict[str, Any]:
        """The provenance."""
        return self.sample.provenance

    @property
    def loud(self) -> list[str]:
        """Rules with a finding above info, in order."""
        return list(dict.fromkeys(finding.rule for finding in self.diagnosis.loud()))

    @property
    def wanted(self) -> list[set[str]]:
        """For each thing that must be found, the rules that meet it."""
        several = [MET_BY.get(rule, {rule}) for rule in self.label.get("expected", [])]
        any_of = self.label.get("expected_any", [])
        return several + ([set().union(*(MET_BY.get(rule, {rule}) for rule in any_of))] if any_of else [])

    @property
    def onset_error(self) -> int | None:
        """First step of a finding that was asked for, minus the step of the injection; None where either is not known."""
        rules = set().union(*self.wanted) if self.wanted else set()
        steps = [f.first_step for f in self.diagnosis.findings if f.rule in rules and f.first_step is not None]
        at = self.label.get("injected_at_step")
        return min(steps) - int(at) if steps and at is not None else None

    @property
    def is_timed(self) -> bool:
        """Whether a number shows the fault, so that its onset can be read to within a logging interval."""
        return bool(ONSET & set(self.label.get("expected", [])))

    @property
    def cause_rank(self) -> int | None:
        """Place of the first accepted cause, from 1; 0 when none is among the causes; None where the label names none."""
        accepted = self.label.get("causes", [])
        if not accepted:
            return None
        return next((i for i, cause in enumerate(self.diagnosis.causes, 1) if cause.id in accepted), 0)

    @property
    def faults(self) -> list[str]:
        """What is not as the provenance says; empty for a sample that is diagnosed rightly."""
        if self.sample.is_healthy:
            return [f"false alarm: {rule}" for rule in self.loud if rule not in self.label.get("tolerated", [])]
        found = {finding.rule for finding in self.diagnosis.findings}
        missing = [f"missed: {' or '.join(sorted(rules))}" for rules in self.wanted if not rules & found]
        rank = self.cause_rank
        if rank is not None and (not 1 <= rank <= 3 or (self.label.get("cause_is_first") and rank != 1)):
            missing.append(f"cause at place {rank or 'none'}")
        return missing


def check(write: Path | None) -> int:
    """Prints the table, and writes it between the marks of `write`; 1 when something is not as the provenance says."""
    results = [Result(sample, diagnose([sample.log], Options(strict=True))) for sample in samples()]
    text = table(results)
    print(text)
    if write is not None:
        old = write.read_text("utf-8")
        head, tail = old.partition(BEGIN)[0], old.partition(END)[2]
        write.write_text(f"{head}{BEGIN}\n\n{text}\n{END}{tail}", "utf-8")
    return int(any(result.faults for result in results))


def table(results: list[Result]) -> str:
    """Both tables and their sums as Markdown."""
    faulty = [result for result in results if not result.sample.is_healthy]
    healthy = [result for result in results if result.sample.is_healthy]
    parts = [summary(faulty, healthy), "", "### Faults", "", FAULTY_HEAD, *map(faulty_line, faulty), "", "### Healthy", ""]
    return "\n".join([*parts, HEALTHY_HEAD, *map(healthy_line, healthy), ""])


FAULTY_HEAD: Final = (
    "| sample | fault | at step | expected | found | onset error | cause expected | first cause | verdict | as expected |\n"
    "|---|---|---:|---|---|---:|---|---|---|---|"
)
HEALTHY_HEAD: Final = "| sample | shape | said besides | verdict | quiet |\n|---|---|---|---|---|"


def summary(faulty: list[Result], healthy: list[Result]) -> str:
    """The sums."""
    wrong = [result for result in [*faulty, *healthy] if result.faults]
    errors = [(r, r.onset_error) for r in faulty if r.onset_error is not None and r.is_timed]
    near = sum(abs(error) <= interval(result.diagnosis) for result, error in errors)
    ranks = [result.cause_rank for result in faulty if result.cause_rank is not None]
    untold = [result for result in faulty if result.label.get("misses")]
    lines = [
        f"{date.today().isoformat()}, nanalyze {VERSION}, Python {platform.python_version()}: {len(faulty)} faulty and "
        f"{len(healthy)} healthy samples, {len(wrong)} not diagnosed as their provenance says"
        + "".join(f"; {result.sample.id}: {', '.join(result.faults)}" for result in wrong) + ".",
        f"Onset of what numbers show, within one logging interval: {near} of {len(errors)}. A cause that the provenance accepts "
        f"is first in {ranks.count(1)} and among the first three in {sum(1 <= rank <= 3 for rank in ranks)} of {len(ranks)}.",
        f"Not told by the log, and not found: {len(untold)}."
        + "".join(f" {r.sample.id}: {', '.join(r.label['misses'])} ({r.label['why_missed']})." for r in untold),
    ]  # fmt: skip
    return "\n".join(lines)


def faulty_line(result: Result) -> str:
    """A row of the faults."""
    label, causes = result.label, [cause.id for cause in result.diagnosis.causes]
    wanted = [*label.get("expected", []), *([" or ".join(label["expected_any"])] if label.get("expected_any") else [])]
    rank, error = result.cause_rank, result.onset_error
    expected = ", ".join(label.get("causes", [])) + (f" (place {rank or 'none'})" if rank is not None and rank != 1 else "")
    cells = [
        result.sample.id, label["fault"], label.get("injected_at_step", ""), ", ".join(wanted) or "-",
        ", ".join(result.loud) or "-",
        "" if error is None else f"{error:+d}", expected, causes[0] if causes else "-", result.diagnosis.verdict,
        "; ".join(result.faults) or ("yes, but " + ", ".join(label["misses"]) if label.get("misses") else "yes"),
    ]  # fmt: skip
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def healthy_line(result: Result) -> str:
    """A row of the healthy runs."""
    quiet = [finding.rule for finding in result.diagnosis.findings if finding.severity == "info"]
    cells = [
        result.sample.id, str(result.label["root_cause"]).removeprefix("healthy").lstrip(":,; ") or "plain",
        ", ".join(dict.fromkeys(quiet)) or "-", result.diagnosis.verdict, "; ".join(result.faults) or "yes",
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"
