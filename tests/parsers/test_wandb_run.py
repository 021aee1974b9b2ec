"""W&B's transaction log: framing with padding and torn tails, history, configuration, memory, the exit code."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import pytest

from parsers import kinds as k
from parsers import read
from parsers.wandb_records import BLOCK
from tests.fuzz.framing import transaction_log
from tests.parsers.runs import kinds, lines, points


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: bytes | str | int) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def history(**items: str) -> bytes:
    return field(2, b"".join(field(1, field(2, key.replace("__", "/")) + field(16, text)) for key, text in items.items()))


def run_log(folder: Path, data: bytes) -> Path:
    path = folder / "run-abc.wandb"
    path.write_bytes(data)
    return path


STEPS = [
    history(train__loss=str(3 - i / 10), train__global_step=str(i + 1), _step=str(i), _timestamp="1795487985.5") for i in range(5)
]
CONFIG = field(5, field(1, field(1, "lr") + field(16, "2e-05")) + field(1, field(1, "model") + field(16, '{"layers": 2}')))


def test_history_config_memory_and_exit(tmp_path: Path) -> None:
    stats = field(7, field(3, field(1, "gpu.0.memoryAllocatedBytes") + field(16, str(3 * 2**30))))
    nan = history(train__loss="NaN", eval__loss="2.5", train__global_step="6")
    run = read([run_log(tmp_path, transaction_log([CONFIG, *STEPS, stats, nan, field(18, field(1, 1))]))], strict=True)
    got = points(run, "loss")
    assert got[0] == (1, 3.0) and [step for step, _ in got] == [1, 2, 3, 4, 5, 6] and math.isnan(got[-1][1])
    assert points(run, "memory_gpu") == [(5, 3.0)] and points(run, "eval_loss") == [(6, 2.5)]
    assert run.environment.value("arg:lr") == 2e-05 and run.environment.value("arg:model.layers") == 2
    assert kinds(run) == [k.CHILD_FAILED] and run.events[0].data["exit_code"] == 1
    assert run.events[0].ref.text == "exit_code = 1" and lines(run, "loss")[0] == 2


def test_typed_values_and_own_step(tmp_path: Path) -> None:
    item = field(1, field(1, "loss") + varint(6 << 3 | 1) + struct.pack("<d", 0.5)) + field(1, field(1, "_step") + field(5, 7))
    run = read([run_log(tmp_path, transaction_log([field(2, item), field(18, field(1, 0))]))], strict=True)
    assert points(run, "loss") == [(7, 0.5)] and kinds(run) == [k.RUN_END]


def test_records_over_block_borders(tmp_path: Path) -> None:
    big = history(train__loss="1.0", train__global_step="9", note=f'"{"x" * (3 * BLOCK)}"')
    many = STEPS * 400
    run = read([run_log(tmp_path, transaction_log([*many, big, *STEPS]))], strict=True)
    assert len(points(run, "loss")) == len(many) + 1 + len(STEPS) and run.problems == ()


@pytest.mark.parametrize("cut", [1, 6, 9, 40])
def test_a_file_that_breaks_off_keeps_what_came_before(tmp_path: Path, cut: int) -> None:
    run = read([run_log(tmp_path, transaction_log(STEPS)[:-cut])], strict=True)
    assert len(points(run, "loss")) == 4 and run.problems == ()


def test_a_wrong_check_sum_is_a_problem(tmp_path: Path) -> None:
    data = bytearray(transaction_log(STEPS))
    data[30] ^= 1
    run = read([run_log(tmp_path, bytes(data))], strict=True)
    assert len(points(run, "loss")) == 4 and "check sum" in run.problems[0].reason


def test_noise_never_raises(tmp_path: Path) -> None:
    for seed in range(20):
        noise = bytes((seed * 31 + i * i * 7 + i // 3) % 256 for i in range(3000))
        assert read([run_log(tmp_path, b":W&B\xe1\xbe\0" + noise)], strict=True).tracks == ()
    framed = transaction_log([bytes((seed * 31 + i * 17) % 256 for i in range(60)) for seed in range(40)])
    assert read([run_log(tmp_path, framed)], strict=True).failures == ()


def test_places_that_cannot_be_read_are_named_a_hundred_times_and_then_counted(tmp_path: Path) -> None:
    from tests.fuzz.framing import RECORD, wandb_log

    path = tmp_path / "run-abc.wandb"
    path.write_bytes(wandb_log(RECORD.join([b"\xff"] * 5000)))
    problems = read([path]).problems
    assert len(problems) == 101 and "4900 places more" in problems[-1].reason
