"""Watching a log to its end says what the batch diagnosis of the finished file says, byte for byte, however it grew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analyzer.diagnosis import diagnose
from analyzer.live.follow import Follower
from analyzer.output.document import dumps
from parsers import growing_text
from parsers.discover import RunFiles
from parsers.thin import Sizes
from tests.samples import FOLDER

LOGS = [
    "hf-deepspeed/nanfrom-ds0.14.5-z2-bf16-hf444-s12/run.log",
    "hf-trainer/rank1sleeps-cpu2-hf5-s1/run.log",
    "deepspeed/healthy-plain-fp16-ds0.12.6-s1/run.log",
    "torch-distributed/glootimeout-s1/run.log",
    "deepspeed/badjson-ds0.16.9/run.log",
]
BAR = b"\r 10%|#         | 3/30 [00:01<00:12,  2.20it/s]"
HAND_MADE = [
    b"".join(b"\r 10%%|#    | %d/30 [00:01<00:12,  2.20it/s, loss=%d.5]" % (i, 3 if i < 9 else 0) for i in range(30)) * 3,
    b"{'loss': 1.5, 'grad_norm': 1.0, 'learning_rate': 1e-05, 'epoch': 0.1}\r\n" * 70 + BAR + b"no line feed at the end",
    ("﻿" + "{'loss': 1.5, 'grad_norm': nan, 'learning_rate': 1e-05, 'epoch': 0.1}\n" * 80).encode(),
    ("{'loss': 1.5, 'grad_norm': 1.0, 'learning_rate': 1e-05, 'epoch': 0.1}\n" * 80).encode("utf-16"),
    b"x" * 5000 + b"\n" + b'Traceback (most recent call last):\n  File "a.py", line 1, in <module>\nValueError: no\n',
    b"",
    b"{'loss': 1.5}",
]


def grown(path: Path, data: bytes, cuts: list[int], judges: bool) -> str:
    """The document of a follower that saw the file grow in these pieces."""
    follower = Follower(RunFiles(str(path), (str(path),)))
    with path.open("wb", buffering=0) as file:
        for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
            file.write(data[start:end])
            follower.poll()
            if judges and follower.exists:
                follower.run(is_over=False)  # looking must not change what is found
    try:
        return dumps(follower.final())
    finally:
        follower.close()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.parametrize("name", [*LOGS, *range(len(HAND_MADE))])
def test_watching_to_the_end_is_the_batch_diagnosis(name: str | int, tmp_path: Path, data: st.DataObject) -> None:
    text = HAND_MADE[name] if isinstance(name, int) else (FOLDER / name).read_bytes()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    path = tmp_path / "run.log"
    path.unlink(missing_ok=True)
    watched = grown(path, text, cuts, judges=data.draw(st.booleans()))
    assert watched == dumps(diagnose(path))


def test_a_log_that_comes_byte_by_byte_and_is_judged_after_each(tmp_path: Path) -> None:
    text = (FOLDER / LOGS[0]).read_bytes()[:6000]
    path = tmp_path / "run.log"
    assert grown(path, text, list(range(4200, 6000)), judges=True) == dumps(diagnose(path))


def test_a_day_is_thinned_and_its_last_word_is_the_batch_diagnosis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing_text, "LIVE", Sizes(300, 6_000, 16, 4, 50, 8, 8))
    lines = [
        b"{'loss': %.4f, 'grad_norm': 1.0, 'learning_rate': 1e-05, 'epoch': %.4f}\n" % (2 + 9 / (9 + i), i / 5000)
        for i in range(5000)
    ]
    path = tmp_path / "run.log"
    follower = Follower(RunFiles(str(path), (str(path),)))
    with path.open("wb", buffering=0) as file:
        for start in range(0, 5000, 100):
            file.write(b"".join(lines[start : start + 100]))
            follower.poll()
        run = follower.run()
        loss = run.series("loss")
        assert loss is not None
        assert len(loss) < 500
        assert (loss.steps[0], loss.steps[-1], run.segments) == (1, 5000, 1)
        assert list(loss.steps) == sorted(set(loss.steps))
    assert follower.is_thinned
    assert dumps(follower.final()) == dumps(diagnose(path))


def test_a_rotated_log_is_read_on_as_one_run(tmp_path: Path) -> None:
    text = (FOLDER / LOGS[0]).read_bytes()
    path, old = tmp_path / "run.log", tmp_path / "run.log.1"
    follower = Follower(RunFiles(str(path), (str(path),)))
    half = text.index(b"\n", len(text) // 2) + 1
    path.write_bytes(text[:5000])
    follower.poll()
    with path.open("ab") as file:
        os.rename(path, old)
        file.write(text[5000:half])
    path.write_bytes(text[half:])
    while follower.poll():
        pass
    assert follower.files == (str(old), str(path))
    got, want = follower.final(), diagnose([old, path])
    assert got.findings == want.findings
    assert got.run.files == want.run.files


@pytest.mark.parametrize("replacement", [b"", b"{'loss': 2.5, 'grad_norm': 1.0, 'learning_rate': 1e-05, 'epoch': 0.1}\n" * 400])
def test_a_truncated_log_begins_anew(tmp_path: Path, replacement: bytes) -> None:
    path = tmp_path / "run.log"
    path.write_bytes((FOLDER / LOGS[0]).read_bytes()[:20000])
    follower = Follower(RunFiles(str(path), (str(path),)))
    follower.poll()
    with path.open("r+b") as file:  # the same inode, as `> run.log` or copytruncate do
        file.truncate(0)
        file.write(replacement)
    follower.poll()
    assert follower.restarts == 1
    assert dumps(follower.final()) == dumps(diagnose(path))


def test_files_that_are_read_whole_are_read_again(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    state = folder / "trainer_state.json"
    follower = Follower(RunFiles(str(state), (str(state),)))
    assert not follower.poll()
    entry = '{"loss": %s, "grad_norm": 1.0, "learning_rate": 1e-5, "epoch": 0.1, "step": %d}'
    for steps in (3, 90):
        rows = ",\n".join(entry % ("2.5", step) for step in range(1, steps + 1))
        state.write_text(f'{{"global_step": {steps}, "log_history": [\n{rows}\n]}}\n')
        assert follower.poll()
        assert follower.run().last_step == steps
    assert dumps(follower.final()) == dumps(diagnose(state))


def test_event_files_grow(tmp_path: Path) -> None:
    from tensorboardX import SummaryWriter

    writer = SummaryWriter(str(tmp_path / "whole"))
    for step in range(1, 201):
        writer.add_scalar("train/loss", 2.0 - step / 200, step)
    writer.close()
    whole = next((tmp_path / "whole").glob("*tfevents*"))
    text, place = whole.read_bytes(), tmp_path / whole.name
    follower = Follower(RunFiles(str(place), (str(place),)))
    last = []
    with place.open("wb", buffering=0) as file:
        for start in range(0, len(text), 2000):  # records are cut anywhere
            file.write(text[start : start + 2000])
            assert follower.poll()
            last.append(follower.run().last_step or 0)
    assert last == sorted(set(last))
    assert last[-1] == 200
    assert dumps(follower.final()) == dumps(diagnose(place))


def test_a_quoted_line_is_the_files_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing_text, "MARK", 500)
    path = tmp_path / "run.log"
    follower = Follower(RunFiles(str(path), (str(path),)))
    with path.open("wb", buffering=0) as file:
        for number in range(1, 2000):
            file.write(b"\r 5%%|#  | a bar\rline %d\n" % number)
            if number % 37 == 0:
                follower.poll()
    while follower.poll():
        pass
    assert [follower.text(str(path), n) for n in (1, 2, 777, 1999)] == ["line 1", "line 2", "line 777", "line 1999"]
    assert follower.text(str(path), 99999) == ""
