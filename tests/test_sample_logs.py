"""Every sample log is diagnosed as its provenance says; every healthy one is quiet."""

from __future__ import annotations

from functools import cache

import pytest

from analyzer import Diagnosis, Options, diagnose
from tests.samples import FOLDER, MET_BY, ONSET, Sample, interval, samples, table

FAULTY = [s for s in samples() if s.provenance["healthy"] is False]
HEALTHY = [s for s in samples() if s.is_healthy]


@cache
def diagnosis(sample: Sample) -> Diagnosis:
    return diagnose([sample.log], Options(strict=True))


@pytest.mark.parametrize("sample", HEALTHY, ids=lambda s: s.id)
def test_a_healthy_run_is_quiet(sample: Sample) -> None:
    got = diagnosis(sample)
    loud = {f.rule for f in got.loud()} - set(sample.provenance.get("tolerated", []))
    assert not loud, [f.summary for f in got.loud()]
    assert got.verdict == "healthy" or sample.provenance.get("tolerated")
    assert not [c.id for c in got.causes if c.kind == "root-cause"]


@pytest.mark.parametrize("sample", FAULTY, ids=lambda s: s.id)
def test_the_injected_fault_is_found(sample: Sample) -> None:
    got = diagnosis(sample)
    found = {f.rule for f in got.findings}
    for rule in sample.provenance.get("expected", []):
        assert MET_BY.get(rule, {rule}) & found, f"{rule} not in {sorted(found)}"
    any_of = sample.provenance.get("expected_any", [])
    assert not any_of or set().union(*(MET_BY.get(r, {r}) for r in any_of)) & found


@pytest.mark.parametrize("sample", [s for s in FAULTY if s.provenance.get("causes")], ids=lambda s: s.id)
def test_the_cause_is_among_the_first_three(sample: Sample) -> None:
    places = 1 if sample.provenance.get("cause_is_first") else 3  # first where the log holds what decides
    first = [cause.id for cause in diagnosis(sample).causes[:places]]
    assert set(sample.provenance["causes"]) & set(first), first


@pytest.mark.parametrize("sample", [s for s in FAULTY if s.provenance.get("misses")], ids=lambda s: s.id)
def test_what_the_log_does_not_tell_is_still_not_found(sample: Sample) -> None:
    found = {f.rule for f in diagnosis(sample).findings}
    assert sample.provenance["why_missed"]
    assert not found & set(sample.provenance["misses"]), "no miss any more: move it to `expected`"


def test_the_healthy_samples_are_at_least_as_many_as_the_faulty_ones() -> None:
    assert len(HEALTHY) >= len(FAULTY)


def test_the_samples_fit_into_forty_megabytes() -> None:
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) <= 40 * 2**20


NEEDED = {"program", "command", "hardware", "fault", "root_cause", "healthy", "origin", "changes", "versions"}


@pytest.mark.parametrize("sample", samples(), ids=lambda s: s.id)
def test_provenance_says_what_was_run_and_what_was_done_to_the_file(sample: Sample) -> None:
    assert not NEEDED - set(sample.provenance)
    assert sample.is_healthy or {"expected", "expected_any"} & set(sample.provenance)


TIMED = [
    s
    for s in FAULTY
    if "injected_at_step" in s.provenance
    and ONSET & set(s.provenance["expected"])
    and "onset" not in s.provenance.get("misses", [])
]


@pytest.mark.parametrize("sample", TIMED, ids=lambda s: s.id)
def test_the_onset_is_within_one_logging_interval(sample: Sample) -> None:
    wanted = ONSET & set(sample.provenance["expected"])
    steps = [f.first_step for f in diagnosis(sample).findings if f.rule in wanted and f.first_step is not None]
    if steps:
        assert abs(min(steps) - sample.provenance["injected_at_step"]) <= interval(diagnosis(sample))


@pytest.mark.parametrize("sample", [s for s in FAULTY if "first_cause_rank" in s.provenance], ids=lambda s: s.id)
def test_the_first_cause_is_on_its_rank_and_line(sample: Sample) -> None:
    cause = diagnosis(sample).first_cause
    assert cause is not None
    assert (cause.rank, cause.ref.line) == (sample.provenance["first_cause_rank"], sample.provenance["first_cause_line"])


@pytest.mark.parametrize("sample", [s for s in FAULTY if "ranks_apart" in s.provenance], ids=lambda s: s.id)
def test_of_two_ranks_that_called_different_things_both_are_named(sample: Sample) -> None:
    cause = diagnosis(sample).first_cause
    assert cause is not None
    assert (cause.rank, cause.ref.line) == (None, sample.provenance["first_cause_line"])
    assert f"ranks {sample.provenance['ranks_apart']} went different ways, and nothing says which one is wrong" in cause.text
    assert "rank 0 was at ALLREDUCE" in cause.text
    assert ", rank 1 at ALL" in cause.text


@pytest.mark.parametrize("sample", samples(), ids=lambda s: s.id)
def test_every_finding_has_a_line_and_its_text(sample: Sample) -> None:
    for finding in diagnosis(sample).findings:
        for evidence in finding.evidence:
            assert evidence.ref.file
            assert evidence.ref.line >= 1
            assert evidence.ref.text.strip(), (finding.rule, evidence)


def test_the_readme_is_the_table_of_provenance() -> None:
    assert (FOLDER / "README.md").read_text("utf-8") == table(), "run `python -m tests.samples`"
