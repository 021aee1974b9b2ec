"""Which of many messages came first, on which rank, and what is only inferred. The cascades are those seen in public threads."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer.model import Diagnosis
from tests.failures import PEER, STEPS, child_failed, diagnosis_of, rules_of, stack

WAIT = (
    "[rank{rank}]:[E1124 02:{minute:02d}:00.5 ProcessGroupNCCL.cpp:689] [Rank {rank}] Watchdog caught collective operation timeout: "
    "WorkNCCL(SeqNum={seq}, OpType={op}, NumelIn=1, NumelOut=1, Timeout(ms)=600000) ran for 600034 milliseconds before timing out.\n"
)


def first(found: Diagnosis) -> tuple[str, int, int | None, bool]:
    """(rule, line, rank, whether it is inferred) of the first cause."""
    cause = found.first_cause
    assert cause is not None
    return found.findings[cause.finding].rule, cause.ref.line, cause.rank, cause.is_inferred


def test_the_rank_that_raised_wins_over_the_one_that_lost_its_peer(tmp_path: Path) -> None:
    text = (
        stack(PEER, "[rank0]: ")
        + stack("RuntimeError: shard 00017.tar is truncated", "[rank1]: ")
        + child_failed((1, 1, 5), ((0, -15, 4),))
    )
    found = diagnosis_of(tmp_path, text)
    assert first(found) == ("traceback", 6, 1, False)
    assert set(rules_of(found)) == {"traceback", "rank-failure"}
    assert found.first_cause is not None
    assert "1 lost connection" in found.first_cause.text


def test_a_killed_rank_is_named_by_the_launcher_alone(tmp_path: Path) -> None:
    text = STEPS + stack(PEER, "[rank0]: ") + child_failed((1, -9, 1414), ((0, -15, 1413),))
    found = diagnosis_of(tmp_path, text)
    rule, _, rank, is_inferred = first(found)
    assert (rule, rank, is_inferred) == ("killed-by-signal", 1, False)
    assert "communication-error" not in rules_of(found)
    assert found.run.outcome == "killed"


def test_a_timeout_is_the_echo_of_the_exception_ten_minutes_before_it(tmp_path: Path) -> None:
    text = (
        stack("FileNotFoundError: [Errno 2] No such file or directory: 'doc_idx.npy'", "192.168.205.202: [rank4]: ")
        + "localhost: " + WAIT.format(rank=0, minute=29, seq=2, op="ALLREDUCE")
    )  # fmt: skip
    assert first(diagnosis_of(tmp_path, text)) == ("traceback", 3, 4, False)


def test_a_timeout_without_a_cause_infers_the_rank_that_is_behind(tmp_path: Path) -> None:
    text = WAIT.format(rank=2, minute=25, seq=532339, op="BROADCAST") + WAIT.format(
        rank=0, minute=25, seq=532341, op="_ALLGATHER_BASE"
    )
    found = diagnosis_of(tmp_path, text)
    assert first(found) == ("collective-timeout", 1, 2, True)
    (finding,) = [f for f in found.findings if f.rule == "collective-timeout"]
    assert finding.facts["is_desync"] is True
    assert finding.facts["rank_behind"] == 2


def test_a_timeout_without_a_cause_infers_the_rank_that_is_silent(tmp_path: Path) -> None:
    text = "[2026-11-24 02:00:00,749] [INFO] [launch.py:180:main] dist_world_size=4\n"
    text += "".join(WAIT.format(rank=rank, minute=25, seq=700, op="ALLREDUCE") for rank in (0, 1, 3))
    found = diagnosis_of(tmp_path, text)
    assert first(found) == ("collective-timeout", 2, 2, True)
    assert found.first_cause is not None
    assert "rank 2 never complained" in found.first_cause.text


def test_the_time_waited_is_subtracted(tmp_path: Path) -> None:
    text = "[2026-11-24 02:00:00,000] [INFO] [launch.py:1:main] Process 1 exits successfully.\n" + WAIT.format(
        rank=0, minute=29, seq=7, op="ALLREDUCE"
    )
    found = diagnosis_of(tmp_path, text)
    assert found.first_cause is None or found.first_cause.time == pytest.approx(1795487340.5 - 600.034)


def test_nccl_s_allocation_wins_over_the_sockets_printed_before_it(tmp_path: Path) -> None:
    text = (
        "n1:30:66 [0] misc/socket.cc:49 NCCL WARN socketProgress: Connection closed by remote peer n1<51159>\n"
        "n1:28:52 [3] include/alloc.h:178 NCCL WARN Cuda failure 'out of memory'\n"
    )
    found = diagnosis_of(tmp_path, text)
    assert first(found) == ("oom-cuda", 2, None, False)
    assert set(rules_of(found)) == {"oom-cuda"}


def test_hardware_overrides_what_was_printed_before_it(tmp_path: Path) -> None:
    text = stack("RuntimeError: bad state", "[rank0]: ") + "RuntimeError: CUDA error: uncorrectable ECC error encountered\n"
    assert first(diagnosis_of(tmp_path, text))[0] == "hardware-fault"


def test_a_lost_peer_alone_says_that_its_log_is_missing(tmp_path: Path) -> None:
    text = STEPS + "n1:1:2 [0] misc/socket.cc:72 NCCL WARN socketProgress: Connection closed by remote peer n7<51159>\n"
    found = diagnosis_of(tmp_path, text)
    assert first(found) == ("communication-error", 5, None, True)
    assert found.first_cause is not None
    assert "not in this log" in found.first_cause.text


def test_an_abort_that_only_the_launcher_tells_is_called_a_victim(tmp_path: Path) -> None:
    found = diagnosis_of(tmp_path, child_failed((0, -6, 3431), ((1, -6, 3437),)))
    rule, _, _, is_inferred = first(found)
    assert (rule, is_inferred) == ("rank-failure", True)
    assert found.first_cause is not None
    assert "mostly a victim" in found.first_cause.text


def test_a_run_that_was_asked_to_end_after_a_hang_began_to_end_with_the_hang(tmp_path: Path) -> None:
    text = WAIT.format(rank=0, minute=29, seq=81, op="ALLREDUCE") + (
        "W1124 02:47:45.765000 3587 torch/distributed/elastic/agent/server/api.py:739] Received 15 death signal, shutting down workers\n"
    )
    found = diagnosis_of(tmp_path, text)
    assert first(found)[0] == "collective-timeout"
    assert found.run.outcome == "killed"


def test_a_healthy_run_has_no_first_cause(tmp_path: Path) -> None:
    assert diagnosis_of(tmp_path, STEPS).first_cause is None


def test_the_same_exception_of_all_ranks_is_one_finding(tmp_path: Path) -> None:
    text = "".join(stack("KeyError: 'labels'", f"[rank{rank}]: ") for rank in range(8)) + child_failed((3, 1, 9))
    found = diagnosis_of(tmp_path, text)
    (finding,) = [f for f in found.findings if f.rule == "traceback"]
    assert finding.facts["ranks"] == "0-7"
    assert finding.facts["count"] == 8
    assert [e.ref.line for e in finding.evidence] == [3, 6, 9, 12, 15]


def test_files_of_ranks_are_one_story(tmp_path: Path) -> None:
    from analyzer.diagnosis import diagnose

    (tmp_path / "rank0.log").write_text(STEPS + stack(PEER))
    (tmp_path / "rank1.log").write_text(stack("RuntimeError: shard 00017.tar is truncated"))
    found = diagnose([tmp_path / "rank0.log", tmp_path / "rank1.log"])
    assert found.first_cause is not None
    assert found.first_cause.ref.file.endswith("rank1.log")
    assert set(rules_of(found)) == {"traceback"}


def test_the_rank_that_deepspeed_does_not_name_is_the_one_that_printed_nothing(tmp_path: Path) -> None:
    text = (
        "[2026-11-24 02:00:00,749] [INFO] [launch.py:180:main] dist_world_size=2\n" + STEPS + stack(PEER, "[rank0]: ")
        + "[2026-11-24 02:55:14,084] [ERROR] [launch.py:325:sigkill_handler] ['python3', '--local_rank=1'] exits with return code = -9\n"
    )  # fmt: skip
    found = diagnosis_of(tmp_path, text)
    assert first(found) == ("killed-by-signal", 9, 1, True)
    assert found.first_cause is not None
    assert "rank 1 printed nothing" in found.first_cause.text


def test_gloo_waits_and_the_launcher_knows_who_else_there_was(tmp_path: Path) -> None:
    timeout = "RuntimeError: [/pytorch/third_party/gloo/gloo/transport/tcp/unbound_buffer.cc:78] Timed out waiting 15000ms for recv operation"
    found = diagnosis_of(tmp_path, stack(timeout, "[rank0]: ") + child_failed((0, 1, 1812), ((1, -15, 1813),)))
    assert first(found) == ("collective-timeout", 3, 1, True)


def test_the_rank_whose_records_end_first_is_inferred_where_nothing_else_says_more(tmp_path: Path) -> None:
    from analyzer.diagnosis import diagnose

    rows = [f"step {step} loss {4 - step / 100:.3f}\n" for step in range(60)]
    for rank, count in ((0, 60), (1, 57), (2, 60), (3, 60)):
        (tmp_path / f"rank_{rank}.log").write_text(
            "".join(rows[:count]) + WAIT.format(rank=rank, minute=25, seq=700, op="ALLREDUCE")
        )
    found = diagnose(tmp_path)
    assert found.first_cause is not None
    assert (found.first_cause.rank, found.first_cause.is_inferred) == (1, True)
    assert "the last record of rank 1 is step 56, others came to step 59" in found.first_cause.text


def test_a_killed_process_belongs_to_the_rank_that_it_was_started_for(tmp_path: Path) -> None:
    text = "".join(
        f"[2026-11-24 02:00:00,749] [INFO] [launch.py:253:main] process {1413 + rank} spawned with command: "
        f"['/opt/venv/bin/python', '-u', 'train.py', '--local_rank={rank}', '--deepspeed']\n"
        for rank in range(4)
    )
    text += STEPS + "[  612.1] Memory cgroup out of memory: Killed process 1415 (python3) total-vm:78320kB, anon-rss:41200kB\n"
    text += "[2026-11-24 02:55:14,084] [ERROR] [launch.py:325:sigkill_handler] ['python3', '--local_rank=3'] exits with return code = -9\n"
    rule, _, rank, is_inferred = first(diagnosis_of(tmp_path, text))
    assert (rule, rank, is_inferred) == ("oom-host", 2, False)


def test_a_failure_that_torchrun_restarted_from_is_history(tmp_path: Path) -> None:
    from analyzer.diagnosis import diagnose

    rows = "".join(f"step {step} loss {4 - step / 100:.3f}\n" for step in range(30))
    for rank in range(4):
        for attempt in (0, 1):
            place = tmp_path / "none_k2x9" / f"attempt_{attempt}" / str(rank)
            place.mkdir(parents=True)
            (place / "stderr.log").write_text(rows + (stack("KeyError: 'labels'" if rank == 2 else PEER) if attempt == 0 else ""))
    found = diagnose(tmp_path)
    assert {f.rule: f.severity for f in found.findings if f.rule == "traceback"} == {"traceback": "warning"}
    assert found.run.outcome == "unknown"
    for rank in range(4):
        (tmp_path / "none_k2x9" / "attempt_1" / str(rank) / "stderr.log").write_text(
            rows + stack(PEER if rank else "ValueError: bad shard")
        )
    found = diagnose(tmp_path)
    cause = found.first_cause
    assert cause is not None
    assert "ValueError" in cause.text
    assert cause.rank == 0


def test_more_ranks_than_a_finding_cites_are_no_echoes_of_it(tmp_path: Path) -> None:
    found = diagnosis_of(tmp_path, "".join(stack("ValueError: no such model", f"[rank{rank}]: ") for rank in range(8)))
    assert found.first_cause is not None
    assert found.findings[0].facts["ranks"] == "0-7"
    assert "further exception" not in found.first_cause.text
    waiting = "".join(WAIT.format(rank=rank, minute=25, seq=7000, op="ALLREDUCE") for rank in range(8) if rank != 4)
    (tmp_path / "wait").mkdir()
    found = diagnosis_of(tmp_path / "wait", STEPS + waiting)
    assert found.first_cause is not None
    assert found.first_cause.rank == 4
    assert "in vain" not in found.first_cause.text


def test_the_watchdog_that_meets_a_ranks_error_does_not_take_its_line(tmp_path: Path) -> None:
    text = STEPS + WAIT.format(rank=0, minute=25, seq=7000, op="ALLREDUCE") + "\n"
    text += stack("RuntimeError: CUDA error: uncorrectable ECC error encountered", "[rank6]: ")
    line = text.count("\n")
    text += "[rank6]:[E1124 02:24:59.9 ProcessGroupNCCL.cpp:1182] [Rank 6] NCCL watchdog thread terminated with exception: "
    text += "CUDA error: uncorrectable ECC error encountered\n" + child_failed((0, -6, 5), ((6, -6, 4),))
    assert first(diagnosis_of(tmp_path, text)) == ("hardware-fault", line, 6, False)


def test_the_task_that_srun_names_is_the_rank_of_slurms_memory_kill(tmp_path: Path) -> None:
    text = STEPS + "slurmstepd: error: Detected 1 oom_kill event in StepId=123.0. Some of the step tasks have been OOM Killed.\n"
    text += "srun: error: node07: task 13: Out Of Memory\n"
    rule, _, rank, is_inferred = first(diagnosis_of(tmp_path, text))
    assert (rule, rank, is_inferred) == ("oom-host", 13, False)


def test_a_task_of_srun_is_a_node_where_torchrun_started_the_ranks(tmp_path: Path) -> None:
    text = (
        STEPS
        + "W1124 02:29:10.194000 1000 torch/distributed/elastic/multiprocessing/api.py:900] Sending process 100 closing signal SIGTERM\n"
    )
    text += "srun: error: node02: task 1: Out Of Memory\n"
    rule, _, rank, _ = first(diagnosis_of(tmp_path, text))
    assert (rule, rank) == ("oom-host", None)


def test_ranks_that_printed_an_exception_are_not_silent(tmp_path: Path) -> None:
    text = "[2026-11-24 02:00:00,749] [INFO] [launch.py:180:main] dist_world_size=8\n"
    text += "".join(stack(PEER, f"[rank{rank}]: ") for rank in range(1, 6)) + WAIT.format(
        rank=0, minute=25, seq=700, op="ALLREDUCE"
    )
    found = diagnosis_of(tmp_path, text + WAIT.format(rank=7, minute=25, seq=700, op="ALLREDUCE"))
    (finding,) = [f for f in found.findings if f.rule == "collective-timeout"]
    assert finding.facts["ranks_silent"] == "6"
    assert "nothing was heard of rank 6" in finding.summary
    assert first(found)[2:] == (6, True)


def test_a_wait_far_beyond_the_limit_is_said_in_the_summary(tmp_path: Path) -> None:
    waited = WAIT.format(rank=0, minute=25, seq=700, op="ALLREDUCE").replace("600034", "3487087")
    found = diagnosis_of(tmp_path, waited)
    (finding,) = [f for f in found.findings if f.rule == "collective-timeout"]
    assert "waited 3487 s" in finding.summary
    assert "the limit is 600 s, so the process itself stood still" in finding.summary
    assert (
        "stood still" not in diagnosis_of(tmp_path, WAIT.format(rank=0, minute=25, seq=700, op="ALLREDUCE")).findings[0].summary
    )


def test_what_the_run_was_at_is_said_in_the_summary(tmp_path: Path) -> None:
    assert (
        "the run was starting"
        in diagnosis_of(tmp_path, WAIT.format(rank=0, minute=25, seq=2, op="ALLREDUCE")).findings[0].summary
    )


@pytest.mark.parametrize("is_first", [True, False])
def test_a_node_that_srun_saw_killed_is_no_rank_wherever_its_line_stands(tmp_path: Path, is_first: bool) -> None:
    killed, rest = "srun: error: node3: task 5: Killed\n", stack(PEER, "[rank0]: ") + child_failed((0, 1, 1414), ())
    found = diagnosis_of(tmp_path, STEPS + (killed + rest if is_first else rest + killed))
    assert first(found)[::2] == ("killed-by-signal", None)
    assert found.first_cause is not None
    assert found.first_cause.text.startswith("task 5 on node3 was ended by SIGKILL")


def test_a_task_of_srun_is_a_node_where_the_launcher_speaks_in_another_file(tmp_path: Path) -> None:
    from analyzer.diagnosis import diagnose

    (tmp_path / "slurm-8123456.err").write_text("srun: error: node3: task 1: Exited with exit code 1\n")
    (tmp_path / "slurm-8123456.out").write_text(STEPS + stack("KeyError: 'labels'", "[rank9]: ") + child_failed((9, 1, 1414), ()))
    found = diagnose(tmp_path)
    assert first(found) == ("traceback", 7, 9, False)
    assert {fate.ranks for fate in found.ranks} <= {"9"}


def test_tasks_that_srun_killed_after_one_had_failed_are_collateral(tmp_path: Path) -> None:
    text = STEPS + "srun: error: node3: task 5: Exited with exit code 1\nsrun: error: node1: tasks 0-4: Killed\n"
    found = diagnosis_of(tmp_path, text)
    assert first(found)[::2] == ("rank-failure", 5)
    assert list(rules_of(found)) == ["rank-failure"]


def test_the_rank_that_did_not_wait_but_printed_a_line_is_named(tmp_path: Path) -> None:
    waits = "".join(WAIT.format(rank=rank, minute=30, seq=700, op="ALLREDUCE") for rank in range(64) if rank != 37)
    found = diagnosis_of(
        tmp_path, "world_size=64\n" + STEPS + "[rank37]: FileNotFoundError: [Errno 2] No such file: 'x'\n" + waits
    )
    assert found.first_cause is not None
    assert found.first_cause.rank == 37
    assert "rank 37 did not wait, it printed FileNotFoundError" in found.first_cause.text


def waited(rank: int, op: str, seq: int, enqueued: int) -> str:
    return WAIT.format(rank=rank, minute=30, seq=seq, op=op) + (
        f"[rank{rank}]:[E1124 02:30:00.6 ProcessGroupNCCL.cpp:2303] [PG ID 0 PG GUID 0(default_pg) Rank {rank}]  failure detected by "
        f"watchdog at work sequence id: {seq} PG status: last enqueued work: {enqueued}, last completed work: {seq - 1}\n"
    )


def test_of_two_ranks_at_different_collectives_neither_is_blamed_and_both_are_told(tmp_path: Path) -> None:
    found = diagnosis_of(tmp_path, STEPS + waited(0, "ALLREDUCE", 81, 81) + waited(1, "ALLGATHER", 81, 81))
    assert first(found)[2:] == (None, True)
    assert found.first_cause is not None
    assert "rank 0 was at ALLREDUCE number 81 of 1, rank 1 at ALLGATHER number 81" in found.first_cause.text
    assert "ranks 0-1 went different ways, and nothing says which one is wrong" in found.first_cause.text


def test_the_one_rank_of_three_at_another_collective_is_named_though_none_is_behind(tmp_path: Path) -> None:
    found = diagnosis_of(
        tmp_path, STEPS + "".join(waited(rank, "ALLGATHER" if rank == 2 else "ALLREDUCE", 81, 82) for rank in range(3))
    )
    assert first(found)[2:] == (2, True)


def test_two_ranks_that_are_both_behind_are_both_told(tmp_path: Path) -> None:
    found = diagnosis_of(
        tmp_path, STEPS + "".join(waited(rank, "ALLREDUCE", 80 + (rank < 2), 80 + (rank < 2)) for rank in range(4))
    )
    assert first(found)[2:] == (None, True)
    assert found.first_cause is not None
    assert "ranks 2-3 were the furthest behind" in found.first_cause.text


def test_of_two_stacks_that_stand_elsewhere_both_calls_are_told(tmp_path: Path) -> None:
    def wait(rank: int, line: int, call: str) -> str:
        rows = (
            "Traceback (most recent call last):", f'  File "/home/user/train.py", line {line}, in train',
            f'  File "/opt/venv/lib/python3.11/site-packages/torch/distributed/distributed_c10d.py", line 39{rank}, in {call}',
            "RuntimeError: [/pytorch/third_party/gloo/gloo/transport/tcp/unbound_buffer.cc:78] Timed out waiting 15000ms for recv "
            "operation to complete",
        )  # fmt: skip
        return "".join(f"[rank{rank}]: {row}\n" for row in rows)

    found = diagnosis_of(tmp_path, STEPS + wait(0, 132, "all_reduce") + wait(1, 95, "barrier"))
    assert first(found)[2:] == (None, True)
    assert found.first_cause is not None
    assert "rank 0 was at all_reduce (train.py:132), rank 1 at barrier (train.py:95)" in found.first_cause.text


def test_an_exception_of_several_processes_is_not_the_one_s_that_the_launcher_saw_end_first(tmp_path: Path) -> None:
    text = STEPS + stack("ModuleNotFoundError: No module named 'apex'") * 3 + child_failed((3, 1, 103))
    found = diagnosis_of(tmp_path, text)
    assert first(found)[0::2] == ("dependency-error", None)
    assert found.first_cause is not None
    assert "further exception" not in found.first_cause.text


def test_a_connection_that_nccl_could_not_make_leaves_no_echo_among_the_causes(tmp_path: Path) -> None:
    text = (
        stack("torch.distributed.DistBackendError: NCCL error in: NCCLUtils.cpp:230, unhandled cuda error, NCCL version 2.27.5", "[rank0]: ")
        + stack("torch.distributed.DistBackendError: NCCL error in: NCCLUtils.cpp:230, remote process exited or there was a network error", "[rank1]: ")
        + "[2026-03-28 00:24:53,125] [ERROR] [launch.py:341:sigkill_handler] ['python3', '--local_rank=3'] exits with return code = -11\n"
    )  # fmt: skip
    found = diagnosis_of(tmp_path, text)
    assert first(found)[::2] == ("communication-error", 0)
    assert not {"peer-rank-died-connection-reset", "bad-sample-decoder-crash"} & {one.id for one in found.causes}


DONE = (
    "[rank{rank}]:[E1124 02:{minute:02d}:00.6 ProcessGroupNCCL.cpp:2303] [PG ID 0 PG GUID 0(default_pg) Rank {rank}]  failure detected "
    "by watchdog at work sequence id: {seq} PG status: last enqueued work: {seq}, last completed work: {done}\n"
)


def shifted(*, is_saving: bool) -> str:
    """Rank 0 came out of number 21, a barrier of its own, and rank 1 waits in its number 21 for good."""
    said = {"minute": 25, "op": "ALLREDUCE"}
    return (
        STEPS + ("rank 0: saving checkpoint to out/step-20.pt\n" if is_saving else "")
        + WAIT.format(rank=0, seq=22, **said) + DONE.format(rank=0, minute=25, seq=22, done=21)
        + WAIT.format(rank=1, seq=21, **said) + DONE.format(rank=1, minute=25, seq=21, done=20)
    )  # fmt: skip


def test_a_number_that_one_rank_completed_and_the_other_did_not_was_two_collectives(tmp_path: Path) -> None:
    found = diagnosis_of(tmp_path, shifted(is_saving=False))
    assert first(found)[2:] == (None, True)
    assert found.first_cause is not None
    assert (
        "rank 1 waited in number 21, which rank 0 had completed: they had called different collectives" in found.first_cause.text
    )
    assert "was behind" not in found.first_cause.text


def test_of_two_ranks_that_parted_the_one_that_alone_had_begun_to_save_is_named(tmp_path: Path) -> None:
    found = diagnosis_of(tmp_path, shifted(is_saving=True))
    assert first(found)[2:] == (0, True)
    assert found.first_cause is not None
    assert "rank 0 alone had begun to save a checkpoint" in found.first_cause.text


def test_an_asynchronous_error_of_nccl_belongs_to_its_rank(tmp_path: Path) -> None:
    text = STEPS + (
        "[rank0]:[E1124 11:50:37.762302734 ProcessGroupNCCL.cpp:612] [Rank 0] Collective WorkNCCL(SeqNum=19, OpType=ALLREDUCE, "
        "NumelIn=17, NumelOut=17, Timeout(ms)=20000) raised the following async exception: NCCL error: remote process exited or "
        "there was a network error, NCCL version 2.28.9\n"
        "[2026-11-24 11:50:38,377] [ERROR] [launch.py:341:sigkill_handler] ['python3', '--local_rank=1'] exits with return code = -9\n"
    )
    text = "[2026-11-24 11:50:28,177] [INFO] [launch.py:180:main] dist_world_size=2\n" + text
    found = diagnosis_of(tmp_path, text)
    assert first(found) == ("killed-by-signal", 7, 1, True)
