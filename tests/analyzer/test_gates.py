"""What is ruled out without being asked could not have said anything."""

from __future__ import annotations

import pytest

from analyzer import cause as causes
from analyzer import rule as rules
from analyzer.clauses import Case, state_of
from analyzer.gates import ABSENT, candidates, steps
from analyzer.shapes import SHAPES, ask
from parsers import Event, Run, Series, SourceRef, kinds
from parsers.model import Environment, Fact


def series(metric: str, *values: float) -> Series:
    made = Series(metric, metric, "test", "run.log")
    for index, value in enumerate(values):
        made.append(index + 1, value, index + 1)
    return made


def run(*events: str, deepspeed: str = "0.14.0", evaluated: float | None = None) -> Run:
    ref = SourceRef("run.log", 1, "text")
    tracks = [series("loss", *[2.0, 1.9, 0.0, float("nan")] * 20), series("lr", *[1e-4] * 80)]
    tracks += [] if evaluated is None else [series("eval_loss", *[evaluated] * 4)]
    facts = [Fact("package:deepspeed", deepspeed, ref), Fact("arg:bf16", True, ref), Fact("run:world_size", 8, ref)]
    return Run(
        "run.log", tracks=tuple(tracks), events=tuple(Event(kind, ref, data={"id": "x"}) for kind in events),
        environment=Environment(facts),
    )  # fmt: skip


@pytest.mark.parametrize("shape", sorted(set(SHAPES) - ABSENT))
def test_no_shape_is_met_by_a_metric_that_was_never_logged(shape: str) -> None:
    assert ask(run(), "accuracy", shape)[0] != "met"


@pytest.mark.parametrize("case", [
    Case.of(run(), (), ()),
    Case.of(run(kinds.OVERFLOW, kinds.TRACEBACK, kinds.CUDA_OOM, kinds.COLLECTIVE_TIMEOUT), (), ("grad-nan",)),
    Case.of(Run("run.log"), (), ()),
    Case.of(run(deepspeed="0.18.3", evaluated=0.5), (), ()),
    Case.of(run(deepspeed="0.16.4", evaluated=1.9), (), ()),
    Case.of(run(deepspeed="not installed"), (), ()),
])  # fmt: skip
def test_a_cause_that_is_no_candidate_has_a_gate_that_cannot_open(case: Case) -> None:
    known = causes.load_for_weighing()
    open_ = {cause.id for cause, _ in candidates(known, case)}
    for cause in known:
        shut = any(
            state == "not-met" or (state == "unknown" and how in ("any", "sure"))
            for how, whens in steps(cause)
            for state in [state_of(how, whens, case)]
        )
        assert shut or cause.id in open_, cause.id


def test_the_candidates_of_a_run_do_not_hang_on_the_runs_before_it() -> None:
    known = causes.load_for_weighing()
    cases = [Case.of(run(deepspeed=version), (), ()) for version in ("0.14.3", "0.18.3", "0.14.3")]
    first, other, again = ([cause.id for cause, _ in candidates(known, case)] for case in cases)
    assert first == again != other
    assert "ds-moe-double-scale" in first and "ds-moe-double-scale" not in other


@pytest.mark.parametrize("rule", [one for one in rules.load() if one.events], ids=lambda one: one.id)
def test_a_rule_has_nothing_to_say_where_none_of_its_events_is(rule: rules.Rule) -> None:
    others = {value for name, value in vars(kinds).items() if name.isupper() and isinstance(value, str)} - rule.events
    assert list(rule.check(run(*sorted(others)))) == []
