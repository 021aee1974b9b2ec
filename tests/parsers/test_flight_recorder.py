"""Dumps of torch's flight recorder: pickles and JSON say the same, damaged ones are problems."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from parsers import Event, kinds, read
from parsers.discover import find_runs
from tests.samples import FOLDER

SAMPLE = FOLDER / "torch-distributed" / "disagree-recorder-gloo4"


def dump(op: str = "all_reduce", enqueued: int = 6, seq: int = 6) -> dict[str, Any]:
    """What torch 2.10's recorder holds after a time-out, of one group."""
    entry = {
        "frames": [
            {"name": op, "filename": "/opt/venv/lib/python3.11/site-packages/torch/distributed/distributed_c10d.py", "line": 3906},
            {"name": "<module>", "filename": "/home/user/exp/train.py", "line": 12},
        ],
        "record_id": 5, "pg_id": 0, "process_group": ("0", "default_pg"), "collective_seq_id": seq, "p2p_seq_id": 0, "op_id": 6,
        "profiling_name": f"nccl:{op}", "time_created_ns": 1795496504685691665, "input_sizes": [[17]], "state": "scheduled",
        "retired": False, "timeout_ms": 5000, "is_p2p": False,
    }  # fmt: skip
    status = {"last_enqueued_collective": enqueued, "last_started_collective": -1, "last_completed_collective": enqueued - 1}
    return {"version": "2.10", "pg_config": {"": {"name": "", "ranks": "[0, 1]"}}, "pg_status": {"0": status}, "entries": [entry]}


def records(path: Path) -> tuple[Event, ...]:
    run = read([path], strict=True)
    assert not run.problems
    return run.events_of(kinds.FLIGHT_RECORD)


@pytest.mark.parametrize("form", ["pickle", "json"])
def test_a_dump_says_where_its_rank_was(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"nccl_trace_rank_3{'.json' if form == 'json' else ''}"
    path.write_bytes(json.dumps(dump()).encode() if form == "json" else pickle.dumps(dump(), 2))
    (event,) = records(path)
    assert event.rank == 3
    assert event.data["op"] == "all_reduce"
    assert (event.data["last_enqueued"], event.data["last_completed"], event.data["group"]) == (6, 5, "default_pg")
    assert (event.data["frame"], event.data["frame_line"]) == ("/home/user/exp/train.py", 12)
    assert event.ref.text == (
        "rank 3, group default_pg: enqueued 6, completed 5; last: all_reduce [[17]] number 6 (scheduled) at /home/user/exp/train.py:12"
    )


def test_real_dumps_of_gloo_are_read() -> None:
    (event,) = records(SAMPLE / "nccl_trace_rank_2")
    assert (event.rank, event.data["op"], event.data["seq"]) == (2, "all_gather", 21)
    assert str(event.data["frame"]).endswith("torchrun_faults.py")
    (event,) = records(SAMPLE / "nccl_trace_rank_2.json")
    assert (event.rank, event.data["op"], event.data["seq"]) == (2, "all_gather", 21)


@pytest.mark.parametrize(
    "data", [pickle.dumps(dump(), 2)[:200], b'{"pg_status": {"0"', b"\x80\x02}X\x09\x00\x00\x00pg_configcos\nsystem\n."]
)
def test_a_damaged_dump_is_a_problem(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "nccl_trace_rank_0"
    path.write_bytes(data)
    run = read([path], strict=True)
    assert not run.events
    assert run.problems[0].reader == "flight_recorder"


@pytest.mark.parametrize(
    "wrong", [{"entries": 3}, {"entries": [3, None, {}]}, {"pg_status": [1]}, {"pg_status": {"0": 7}}, {"entries": [{"frames": [1], "process_group": 5}]}]
)  # fmt: skip
def test_no_shape_of_a_dump_raises(tmp_path: Path, wrong: dict[str, Any]) -> None:
    path = tmp_path / "nccl_trace_rank_0"
    path.write_bytes(pickle.dumps({**dump(), **wrong}, 2))
    records(path)


def test_torchtitan_s_dumps_lie_in_a_folder_below_the_run(tmp_path: Path) -> None:
    (tmp_path / "comm_traces").mkdir()
    (tmp_path / "run.log").write_text("x")
    for rank in range(2):
        (tmp_path / "comm_traces" / f"rank_{rank}").write_bytes(pickle.dumps(dump(), 2))
    (run,) = find_runs([tmp_path])
    assert len(run.files) == 3
    assert len(read(run.files).events_of(kinds.FLIGHT_RECORD)) == 2


def test_dumps_belong_to_the_run_beside_them(tmp_path: Path) -> None:
    for name in ("run.log", "nccl_trace_rank_0", "nccl_trace_rank_10", "nccl_trace_rank_2", "profile_trace_1.json"):
        (tmp_path / name).write_text("x")
    names = ["run.log", "nccl_trace_rank_0", "nccl_trace_rank_2", "nccl_trace_rank_10"]
    for target in (tmp_path, tmp_path / "run.log"):
        (run,) = find_runs([target])
        assert [Path(file).name for file in run.files] == (
            names if target == tmp_path else sorted(names, key=lambda n: (n != "run.log", n))
        )
    (tmp_path / "other.log").write_text("x")
    assert all(len(run.files) == 1 for run in find_runs([tmp_path]))
