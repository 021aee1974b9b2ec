"""A cause answers for the run's first failure; what a log holds beside it confirms nothing."""

from __future__ import annotations

from pathlib import Path

from analyzer.diagnosis import Options, diagnose
from analyzer.model import Diagnosis

PORT = (
    "[W socket.cpp:401] [c10d] The server socket has failed to bind to [::]:29500 (errno: 98 - Address already in use).\n"
    "[E socket.cpp:435] [c10d] The server socket has failed to listen on any local network address. EADDRINUSE\n"
)
OOM = (
    "Traceback (most recent call last):\n"
    '  File "train.py", line 10, in <module>\n'
    "    loss.backward()\n"
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 256.00 MiB. GPU 0 has a total capacity of 79.33 GiB of which "
    "224.81 MiB is free. Including non-PyTorch memory, this process has 79.10 GiB memory in use. Of the allocated memory "
    "78.25 GiB is allocated by PyTorch, and 71.53 MiB is reserved by PyTorch but unallocated.\n"
)
USER = (
    "Traceback (most recent call last):\n"
    '  File "train.py", line 10, in <module>\n'
    "    open(path)\n"
    "FileNotFoundError: [Errno 2] No such file or directory: '/data/train.jsonl'\n"
)
PARTS = "".join(f"loading part {i}\n" for i in range(60))
TIMEOUT = (
    "[E ProcessGroupNCCL.cpp:475] [Rank 3] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=4, OpType=BROADCAST, "
    "NumelIn=1, NumelOut=1, Timeout(ms)=1800000) ran for 1800123 milliseconds before timing out.\n"
)
GRPO = "{'loss': 0.0, 'grad_norm': 0.5, 'reward': 0.3, 'reward_std': 0.2, 'learning_rate': 1e-06, 'epoch': 0.1}\n"
FLUSH = (
    "[2024-04-27 12:42:44,490] [WARNING] [stage3.py:2069:step] 3 pytorch allocator cache flushes since last step. this happens "
    "when there is high memory pressure and is detrimental to performance.\n"
)


def curve(records: int) -> str:
    return "".join(
        f"{{'loss': {2.2 - 0.01 * i + 0.003 * (i % 3):.4f}, 'grad_norm': {1.2 + 0.05 * (i % 4):.3f}, 'learning_rate': 2e-05, "
        f"'epoch': {0.01 * (i + 1):.2f}}}\n"
        for i in range(records)
    )


def judged(tmp_path: Path, text: str) -> Diagnosis:
    log = tmp_path / "run.log"
    log.write_text(text, "utf-8")
    return diagnose(log, Options(strict=True))


def test_a_port_in_use_does_not_explain_an_exhausted_gpu(tmp_path: Path) -> None:
    diagnosis = judged(tmp_path, PORT + PARTS + OOM)
    first, *rest = diagnosis.causes
    assert first.id == "cuda-oom-batch-too-large"
    port = next(match for match in rest if match.id == "port-in-use")
    assert port.verdict == "possible"
    other = next(clause for clause in port.clauses if clause.weight <= -5)
    assert other.text == "the run's first failure is another one"
    assert "out of memory" in other.evidence[0].ref.text


def test_alone_it_is_confirmed(tmp_path: Path) -> None:
    failed = "RuntimeError: The server socket has failed to listen on any local network address. (errno: 98 - Address already in use).\n"
    first = judged(tmp_path, PARTS + PORT + failed).causes[0]
    assert (first.id, first.verdict) == ("port-in-use", "confirmed")


def test_a_session_that_closed_after_the_exception_is_not_the_cause(tmp_path: Path) -> None:
    log = USER + PARTS + "run.sh: line 57: 3698895 Hangup                  ( cd /work && deepspeed train.py )\n"
    assert all(match.verdict == "possible" for match in judged(tmp_path, log).causes)


def test_nothing_benign_answers_a_timeout(tmp_path: Path) -> None:
    log = GRPO + GRPO.replace("0.5", "0.61") + GRPO.replace("0.5", "0.44") + TIMEOUT
    assert judged(tmp_path, log).causes[0].kind != "benign"


def test_a_long_run_without_a_finding_has_no_root_cause(tmp_path: Path) -> None:
    assert not judged(tmp_path, curve(30) + FLUSH * 2 + curve(60)[-2000:]).causes


def test_ctrl_c_has_no_cause(tmp_path: Path) -> None:
    log = curve(5) + (
        "W1215 18:57:52.921160 139909995403072 torch/distributed/elastic/agent/server/api.py:688] Received 2 death signal, "
        "shutting down workers\n[rank0]: KeyboardInterrupt\n"
        "torch.distributed.elastic.multiprocessing.api.SignalException: Process 684095 got signal: 2\n"
    )
    assert not judged(tmp_path, log).causes


def test_a_time_limit_does_not_explain_a_loss_that_was_lost(tmp_path: Path) -> None:
    nan = "{'loss': 0.0, 'grad_norm': nan, 'learning_rate': 2e-05, 'epoch': 0.2}\n"
    limit = "slurmstepd: error: *** STEP 1234.0 ON node1 CANCELLED AT 2024-01-01T10:00:00 DUE TO TIME LIMIT ***\n"
    diagnosis = judged(tmp_path, "DeepSpeed version: 0.14.0\n" + curve(8) + nan * 8 + limit)
    assert diagnosis.causes[0].id == "ds-zero12-overlap-multirank"
    assert all(match.verdict == "possible" for match in diagnosis.causes if match.id == "slurm-walltime-or-preempt")


HANG = TIMEOUT.replace("SeqNum=4, OpType=BROADCAST, NumelIn=1, NumelOut=1", "SeqNum=81, OpType=ALLREDUCE, NumelIn=9, NumelOut=9")
TERM = (
    "W1124 02:47:45.765000 3587 torch/distributed/elastic/agent/server/api.py:739] Received 15 death signal, shutting down workers\n"
    "torch.distributed.elastic.multiprocessing.api.SignalException: Process 3587 got signal: 15\n"
)
CLOSED = (
    "[2026-11-24 12:53:35] node-1:3819:3957 [0] misc/socket.cc:72 NCCL WARN socketProgress: Connection closed by remote peer "
    "localhost<60820>\n"
)


def test_who_ended_a_hanging_run_is_not_why_it_hung_nor_are_the_sockets_that_closed_then(tmp_path: Path) -> None:
    told = {"external-sigterm", "peer-rank-died-connection-reset", "uneven-dataloader-length"}
    assert not told & {match.id for match in judged(tmp_path, HANG + PARTS + TERM + CLOSED).causes}


def test_a_signal_before_the_others_waited_is_still_the_cause(tmp_path: Path) -> None:
    assert "external-sigterm" in {match.id for match in judged(tmp_path, TERM + PARTS + HANG).causes}


def test_ranks_that_wait_under_one_number_with_other_sizes_differ_in_shape(tmp_path: Path) -> None:
    ranks = "".join(HANG.replace("[Rank 3]", f"[Rank {rank}]").replace("=9", f"={5 if rank else 17}") for rank in (0, 1))
    first = judged(tmp_path, ranks + PARTS + TERM).causes[0]
    assert (first.id, first.verdict) == ("collective-shape-mismatch-uneven-batch", "possible")
    same = "".join(HANG.replace("[Rank 3]", f"[Rank {rank}]") for rank in (0, 1))
    assert first.id not in {match.id for match in judged(tmp_path, same + PARTS + TERM).causes}
