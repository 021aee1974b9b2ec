"""Flight recorder dumps beside a log name the rank that its lines cannot name."""

from __future__ import annotations

import json
from pathlib import Path

from analyzer.diagnosis import diagnose
from analyzer.model import Diagnosis
from tests.failures import STEPS
from tests.parsers.test_flight_recorder import SAMPLE, dump

WAIT = (
    "[rank{rank}]:[E1124 02:25:00.5 ProcessGroupNCCL.cpp:689] [Rank {rank}] Watchdog caught collective operation timeout: "
    "WorkNCCL(SeqNum=6, OpType=ALLREDUCE, NumelIn=17, NumelOut=17, Timeout(ms)=600000) ran for 600034 milliseconds before timing out.\n"
)


def judged(folder: Path, dumps: dict[int, object]) -> Diagnosis:
    """A log in which three of four ranks waited, with these dumps beside it."""
    (folder / "run.log").write_text(STEPS + "".join(WAIT.format(rank=rank) for rank in (0, 1, 2, 3)))
    for rank, content in dumps.items():
        (folder / f"nccl_trace_rank_{rank}.json").write_text(json.dumps(content))
    return diagnose(folder)


def test_the_rank_that_had_enqueued_less_is_named_and_its_dump_is_evidence(tmp_path: Path) -> None:
    found = judged(tmp_path, {0: dump(), 1: dump(), 2: dump(enqueued=4, seq=4), 3: dump()})
    cause = found.first_cause
    assert cause is not None
    assert (cause.rank, cause.is_inferred) == (2, True)
    assert "rank 2 had enqueued 4 collectives where others had 6 (flight recorder)" in cause.text
    (finding,) = [f for f in found.findings if f.rule == "collective-timeout"]
    assert [Path(e.ref.file).name for e in finding.evidence[-2:]] == ["nccl_trace_rank_2.json", "nccl_trace_rank_0.json"]
    assert all(e.ref.text for e in finding.evidence)


def test_a_rank_at_another_collective_is_named(tmp_path: Path) -> None:
    found = judged(tmp_path, {0: dump(), 1: dump("broadcast"), 2: dump(), 3: dump()})
    assert found.first_cause is not None
    assert found.first_cause.rank == 1
    assert "rank 1 was at broadcast [[17]] (train.py:12) where the others were at all_reduce [[17]]" in found.first_cause.text


def test_dumps_that_agree_say_nothing(tmp_path: Path) -> None:
    found = judged(tmp_path, {rank: dump() for rank in range(4)})
    assert found.first_cause is not None
    assert found.first_cause.rank is None


def test_real_dumps_point_at_the_rank_and_the_line_of_its_program() -> None:
    found = diagnose(SAMPLE)
    assert found.first_cause is not None
    assert found.first_cause.rank == 2
    assert "rank 2 called all_gather [[17]] (torchrun_faults.py:" in found.first_cause.text
    assert not found.problems


def history(last: str, sizes: list[list[int]], line: int) -> dict[str, object]:
    """Five summed gradients, then a call of this kind."""
    whole = dump(last)
    (entry,) = whole["entries"]
    before = [
        {**entry, "profiling_name": "nccl:all_reduce", "collective_seq_id": number, "state": "completed"}
        for number in range(1, 6)
    ]
    frames = [{"name": "main", "filename": "/home/user/exp/train.py", "line": line}]
    return {**whole, "entries": [*before, {**entry, "input_sizes": sizes, "frames": frames if line != 12 else entry["frames"]}]}


def test_of_two_ranks_the_one_whose_call_is_new_is_named(tmp_path: Path) -> None:
    usual, other = history("all_reduce", [[17]], 12), history("all_reduce_barrier", [[1]], 40)
    found = judged(tmp_path, {0: other, 1: usual})
    assert found.first_cause is not None
    assert found.first_cause.rank == 0
    assert (
        "rank 0 called all_reduce_barrier [[1]] (train.py:40) as number 6 where rank 1 called all_reduce [[17]] (train.py:12), as before"
        in found.first_cause.text
    )


def test_of_two_ranks_with_calls_that_are_both_new_none_is_named(tmp_path: Path) -> None:
    found = judged(tmp_path, {0: history("barrier", [[1]], 40), 1: history("all_gather", [[17]], 50)})
    assert found.first_cause is not None
    assert found.first_cause.rank is None


def test_gathers_of_uneven_sizes_are_the_same_call(tmp_path: Path) -> None:
    found = judged(tmp_path, {0: history("all_gather", [[17]], 50), 1: history("all_gather", [[16]], 50)})
    assert found.first_cause is not None
    assert found.first_cause.rank is None
