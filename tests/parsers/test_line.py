"""What launchers and log shippers put before a program's own text, and what Ray puts behind it."""

from __future__ import annotations

import json

import pytest

from parsers.line import Line, clock, make_line
from tests.parsers.logs import run_of

TEXT = "{'loss': 1.5, 'learning_rate': 1e-05, 'epoch': 0.1}"
CLOCK = 1714564800.0  # 2024-05-01 12:00:00 UTC


def line(text: str) -> Line:
    return make_line("run.log", 1, text.encode())


@pytest.mark.parametrize(
    ("prefix", "rank", "host", "time"),
    [
        ("[rank3]: ", 3, None, None),
        ("[1,3]<stdout>:", 3, None, None),
        (" 3: ", 3, None, None),
        ("2024-05-01T12:00:00.123456789Z stdout F ", None, None, CLOCK),
        ("2024-05-01T14:00:00+02:00 stderr F ", None, None, CLOCK),
        ("2024-05-01T12:00:00.1234567Z ", None, None, CLOCK),
        ("[pod/train-worker-0/pytorch] ", None, "train-worker-0", None),
        ("[pod/train-worker-0/pytorch] 2024-05-01T12:00:00Z ", None, "train-worker-0", CLOCK),
        ("May  1 12:00:00 gpu-7 python[4711]: ", None, "gpu-7", None),
        ("<13>May  1 12:00:00 gpu-7 train.sh: ", None, "gpu-7", None),
        ("<165>1 2024-05-01T12:00:00.003Z gpu-7 train 8710 - - ", None, "gpu-7", CLOCK),
        ("2024-05-01T14:00:00.003+02:00 gpu-7 train[12]: ", None, "gpu-7", CLOCK),
        ("worker-1: ", None, "worker-1", None),
        ("worker-1  | ", None, "worker-1", None),
        ("worker-1  | 2024-05-01T12:00:00Z [rank2]: ", 2, "worker-1", CLOCK),
    ],
)
def test_prefixes_become_fields(prefix: str, rank: int | None, host: str | None, time: float | None) -> None:
    found = line(prefix + TEXT)
    assert found.text == TEXT and found.raw == (prefix + TEXT).strip()
    assert found.rank == rank
    assert not host or found.host == host
    assert found.time is None if time is None else found.time == pytest.approx(time, abs=1)


@pytest.mark.parametrize(
    "text",
    ["step 10 loss=0.5", "wandb: Run data is saved locally", "iter 10: loss 2.5", "terminate called after throwing", "epoch=3"],
)
def test_srun_labels_lower_case_text(text: str) -> None:
    found = line(f" 3: {text}")
    assert (found.text, found.rank) == (text, 3)


@pytest.mark.parametrize(
    "text", ["100: loss 2.5", "100: train loss 2.5", "2: eth0: <BROADCAST,UP> mtu 1500", "3: lr=1e-4", "5: val_acc 0.5", "10: x"]
)
def test_numbers_that_may_be_steps_or_counts_are_no_labels(text: str) -> None:
    assert line(text).rank is None and line(text).text == text


@pytest.mark.parametrize("text", [TEXT, "step 3: loss 0.5", "Nov is a month", "[pod] is no prefix", "<b>1 is no prefix"])
def test_other_beginnings_stay(text: str) -> None:
    assert line(text).text == text


@pytest.mark.parametrize(
    "end",
    [
        "",
        " (Ray deduplicates logs by default. Set RAY_DEDUP_LOGS=0 to disable log deduplication, or see "
        "https://docs.ray.io/en/master/ray-observability/user-guides/configure-logging.html#log-deduplication for more options.)",
    ],
)
def test_ray_says_how_many_lines_it_folded(end: str) -> None:
    found = line(f"\x1b[36m(WorkerDict pid=12, ip=10.0.0.2)\x1b[0m {TEXT}\x1b[32m [repeated 7x across cluster]{end}\x1b[0m")
    assert found.repeats == 7 and found.text == TEXT and found.actor == "WorkerDict"


def test_folded_lines_are_counted() -> None:
    text = "(W pid=1) WARNING: tokenization mismatch: 1 vs. 62. (ignored)"
    series = run_of(f"{text}\n{text} [repeated 7x across cluster]\n").series("labels_masked")
    assert series is not None and sum(series.values) == 8


def test_a_clock_without_a_year_counts_from_january() -> None:
    assert clock("E1124 02:46:39.5 140 torch/distributed/elastic/multiprocessing/api.py:869] failed") == pytest.approx(
        (327 * 24 + 2) * 3600 + 46 * 60 + 39.5
    )
    assert clock("[rank0]:[E624 12:00:04.000000000 ProcessGroupNCCL.cpp:616] [Rank 0] Watchdog") is not None
    assert clock("E9999 12:00:00.0") is None and clock("Epoch 1 12:00:00") is None


def test_docker_s_json_file_is_unpacked() -> None:
    packed = json.dumps(
        {"log": f"\x1b[1m{TEXT}\x1b[0m\n", "stream": "stdout", "time": "2024-05-01T12:00:00.5Z"}, separators=(",", ":")
    )
    found = line(packed)
    assert found.text == TEXT and found.time == CLOCK + 0.5
    torn = packed[:60]
    assert line(torn).text == torn
    assert line('{"log":"a","level":3}').text == '{"log":"a","level":3}'
