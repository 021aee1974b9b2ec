"""A long run is judged a few rules at a look, and what is said is what one judgement at once says."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from analyzer import diagnose
from analyzer.live import judging
from analyzer.live.judging import AT_ONCE, Judging
from analyzer.live.session import Session
from analyzer.symptoms import Wishes, symptoms
from parsers import Run, read
from parsers.discover import RunFiles


def lines(first: int, last: int, **other: str) -> str:
    said = {"loss": "1.5", "grad_norm": "0.9", **other}
    return "".join(
        f"{{'loss': {said['loss']}{step % 7 + 1}, 'grad_norm': {said['grad_norm']}{step % 5 + 1}, 'learning_rate': 1e-05, "
        f"'epoch': {step / 1000:.3f}}}\n"
        for step in range(first, last)
    )


def test_pieces_of_a_judgement_find_what_one_finds(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    log.write_text(lines(1, 900) + lines(900, 950, loss="0.0", grad_norm="9.0"))
    run = read([log])
    whole = symptoms(run, Wishes())
    one = Judging(run, Wishes(), False, False)
    looks = 1
    while (found := one.go_on(False)) is None:
        looks += 1
    assert found == whole
    points = sum(len(track) for track in run.tracks)
    assert looks >= 40 // max(1, AT_ONCE // points) > 1


def test_a_look_at_a_long_run_runs_few_rules(tmp_path: Path, monkeypatch) -> None:
    calls: list[int] = []
    real = Judging.go_on

    def counted(self: Judging, is_whole: bool):
        before = self._share
        calls.append(10**9 if is_whole else before)
        return real(self, is_whole)

    monkeypatch.setattr(judging.Judging, "go_on", counted)
    log = tmp_path / "run.log"
    log.write_text(lines(1, 3000))
    session = Session(RunFiles(str(log), (str(log),)), 0.0)
    looks = 0
    session.look(0.0)
    while session.due(0.1) == 0.0 and looks < 100:
        looks += 1
        session.look(0.1)
    points = 4 * 2999
    assert looks > 4 and set(calls) == {AT_ONCE // points}
    assert session.run is not None and session.ledger.standing == ()


def test_a_sign_of_failure_is_judged_whole_and_at_once(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    log.write_text(lines(1, 3000))
    session = Session(RunFiles(str(log), (str(log),)), 0.0)
    session.look(0.0)
    assert session.due(0.0) == 0.0  # under way
    with log.open("a") as file:
        file.write("{'loss': 0.0, 'grad_norm': nan, 'learning_rate': 1e-05, 'epoch': 3.0}\n" * 3)
    assert "loss-zero" in {change.finding.rule for change in session.look(1.0)}
    assert session.due(1.0) != 0.0


def test_no_run_is_over_while_its_judgement_is_under_way(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    log.write_text(lines(1, 3000) + "{'train_runtime': 100.0, 'train_loss': 1.5, 'epoch': 3.0}\n")
    session = Session(RunFiles(str(log), (str(log),)), 0.0)
    session.look(0.0)
    assert session.ended(100.0)
    with log.open("a") as file:
        file.write("Training is done, says the script.\n")
    session.look(100.0)
    assert session.due(100.0) == 0.0 and not session.ended(200.0)
    while session.due(100.0) == 0.0:
        session.look(100.0)
    assert session.ended(200.0)


@pytest.mark.parametrize("collects", [True, False])
def test_no_garbage_is_collected_during_a_look_and_the_callers_wish_holds_after_it(tmp_path: Path, collects: bool) -> None:
    log = tmp_path / "run.log"
    log.write_text(lines(1, 60), "utf-8")
    session = Session(RunFiles(str(log), (str(log),)), 0.0)
    seen: list[bool] = []
    poll = session.follower.poll
    session.follower.poll = lambda: (seen.append(gc.isenabled()), poll())[1]  # type: ignore[method-assign]
    (gc.enable if collects else gc.disable)()
    try:
        session.look(1.0)
        assert (seen, gc.isenabled()) == ([False], collects)
    finally:
        gc.enable()


def test_a_judged_run_is_let_go_without_a_collection(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    log.write_text(lines(1, 60), "utf-8")
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            diagnose(log)
        assert sum(isinstance(one, Run) and one.source == str(log) for one in gc.get_objects()) == 0
    finally:
        gc.enable()
