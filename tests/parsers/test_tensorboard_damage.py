"""Event files in any state: a problem each, the rest is read, nothing hangs, no length is believed unchecked."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from parsers import read
from parsers.tfevents import EventFile, decode
from tests.parsers import events as e

COUNT = 40


def loop(low: int, high: int) -> bytes:
    return b"".join(e.scalar("loss", step, step) for step in range(low, high))


def both(folder: Path, *records: bytes) -> EventFile:
    """What both ways of decoding find, which must be the same."""
    path = e.write(folder, *records)
    slow, fast = decode(path, fast=False), decode(path, fast=True)
    assert repr(slow.losses) == repr(fast.losses) and repr(slow.scalars) == repr(fast.scalars)
    return slow


def steps(found: EventFile) -> list[int]:
    column = found.scalars.get(("loss", False))
    return list(column.steps) if column else []


def test_a_flipped_bit_in_a_value_costs_its_record(tmp_path: Path) -> None:
    data = bytearray(e.version() + loop(0, COUNT))
    size = len(e.scalar("loss", 20, 20))
    at = len(e.version() + loop(0, 20)) + size - 6
    data[at] ^= 16
    found = both(tmp_path, bytes(data))
    assert steps(found) == [step for step in range(COUNT) if step != 20]
    assert [loss.line for loss in found.losses.kept] == [22] and "checksum" in found.losses.kept[0].reason


@pytest.mark.parametrize("byte", range(12))
def test_a_flipped_bit_in_a_length_costs_its_record(tmp_path: Path, byte: int) -> None:
    data = bytearray(e.version() + loop(0, COUNT))
    begin = len(e.version() + loop(0, 20))
    data[begin + byte] ^= 4
    found = both(tmp_path, bytes(data))
    assert steps(found) == [step for step in range(COUNT) if step != 20]
    assert f"bytes {begin:,}–" in found.losses.kept[0].reason


def test_a_cut_record_is_said(tmp_path: Path) -> None:
    data = e.version() + loop(0, COUNT)
    for lost in (1, 7, 30, len(e.scalar("loss", 39, 39)) - 1):
        found = both(tmp_path, data[:-lost])
        assert steps(found) == list(range(COUNT - 1)) and "ends within a record" in found.losses.kept[0].reason


def test_a_length_of_2_to_63_is_not_believed(tmp_path: Path) -> None:
    found = both(tmp_path, e.version(), loop(0, 5), e.header(2**63), b"xx", loop(5, 9))
    assert steps(found) == list(range(9)) and "9,223,372,036,854,775,808" in found.losses.kept[0].reason
    found = both(tmp_path, e.version(), loop(0, 5), struct.pack("<Q", 2**63) + b"none", loop(5, 9))
    assert steps(found) == list(range(9)) and found.losses.count == 1


def test_zeros_at_the_end_are_reserved_space(tmp_path: Path) -> None:
    found = both(tmp_path, e.version(), loop(0, 5), bytes(100_000))
    assert steps(found) == list(range(5)) and "100,000 zero bytes" in found.losses.kept[0].reason


def test_a_hole_in_the_middle(tmp_path: Path) -> None:
    found = both(tmp_path, e.version(), loop(0, 5), bytes(100_001), loop(5, 9))
    assert steps(found) == list(range(9)) and found.losses.count == 1


def test_a_payload_that_is_no_event(tmp_path: Path) -> None:
    found = both(tmp_path, e.version(), loop(0, 5), e.framed(b"\x0a\xff\xff\xff\xff\x0f"), e.framed(b""), loop(5, 9))
    assert steps(found) == list(range(9)) and [loss.line for loss in found.losses.kept] == [7]


def test_losses_in_masses_are_counted(tmp_path: Path) -> None:
    data = bytearray(e.version() + loop(0, 300))
    size = len(e.version())
    for step in range(300):
        record = len(e.scalar("loss", step, step))
        data[size + record - 5] ^= 1
        size += record
    path = e.write(tmp_path, bytes(data))
    run = read([path], strict=True)
    assert decode(path, fast=True).losses.count == decode(path, fast=False).losses.count == 300
    assert len(run.problems) == 21 and run.problems[-1].reason == "280 more records are damaged"


def test_a_file_that_grows_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from parsers import tfevents

    path = e.write(tmp_path, e.version(), loop(0, 100))
    add_frames = tfevents.add_frames

    def and_grow(*args: object) -> None:
        add_frames(*args)  # type: ignore[arg-type]
        with path.open("ab") as file:
            file.write(loop(100, 200))

    monkeypatch.setattr(tfevents, "add_frames", and_grow)
    run = read([path], strict=True)
    series = run.series("loss")
    assert series and list(series.steps) == list(range(100))
    assert len(run.problems) == 1 and "grew by" in run.problems[0].reason


def test_a_file_that_shrinks_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from parsers import tfevents
    from parsers.tfevents_frames import Framer

    made = Framer.__init__
    monkeypatch.setattr(Framer, "__init__", lambda self, *args, **named: made(self, *args, window=4096, **named))
    path = e.write(tmp_path, e.version(), loop(0, 2000))
    add_frames = tfevents.add_frames

    def and_shrink(*args: object) -> None:
        add_frames(*args)  # type: ignore[arg-type]
        with path.open("r+b") as file:
            file.truncate(5000)

    monkeypatch.setattr(tfevents, "add_frames", and_shrink)
    found = decode(path)
    assert steps(found) and found.losses.count == 1


@pytest.mark.parametrize("seed", range(30))
def test_any_damage_is_survived_and_both_ways_agree(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    data = bytearray(e.some_file(rng, 150, plain=seed % 3 == 0))
    for _ in range(rng.choice([1, 1, 1, 12])):
        at = rng.randrange(len(data))
        damage = rng.choice(["flip", "cut", "hole", "insert"])
        if damage == "flip":
            data[at] ^= 1 << rng.randrange(8)
        elif damage == "cut":
            del data[at : at + rng.randrange(100)]
        elif damage == "hole":
            data[at : at + 200] = bytes(len(data[at : at + 200]))
        else:
            data[at:at] = rng.randbytes(rng.randrange(1, 60))
    found = both(tmp_path, bytes(data))
    assert found.records > 0


@pytest.mark.parametrize("seed", range(5))
def test_bytes_of_no_kind(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    noise = rng.randbytes(5000).replace(b"\x01", bytes(6))
    assert both(tmp_path, noise).losses.count
    assert both(tmp_path, bytes(5000)).losses.count == 1
    assert both(tmp_path, b"").losses.count == 0


def test_what_was_lost_is_said_in_the_terminal(tmp_path: Path) -> None:
    from analyzer import diagnose
    from analyzer.output import terminal

    path = e.write(tmp_path, (e.version() + loop(0, COUNT))[:-7])
    said = " ".join(terminal.render(diagnose([path])).split())
    assert f"1 place could not be read: {e.NAME}:41: the file ends within a record" in said
