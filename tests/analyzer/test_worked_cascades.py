"""The cascades that public threads show, worked through: the first cause and its rank, and no echo beside it as a cause.

The logs are made up in the true format of the programs; each comment says what the thread was about.
"""

from __future__ import annotations

from pathlib import Path

from analyzer.model import Diagnosis, FirstCause
from tests.failures import STEPS, child_failed, diagnosis_of, rules_of, stack

ECHOES = {"peer-rank-died-connection-reset", "torchelastic-root-cause-is-victim", "ds-cpuadam-no-attribute-echo"}


def began(found: Diagnosis) -> tuple[str, FirstCause]:
    """(rule of the first cause, the first cause)."""
    cause = found.first_cause
    assert cause is not None
    return found.findings[cause.finding].rule, cause


def closing(*pids: int) -> str:
    return "".join(
        f"W1124 02:43:56.755000 3425 torch/distributed/elastic/multiprocessing/api.py:1010] Sending process {pid} closing signal SIGTERM\n"
        for pid in pids
    )


def watchdog(
    rank: int, seq: int, op: str, numel: int, ran: int = 600034, timeout: int = 600000, clock: str = "1124 02:25:00.5"
) -> str:
    """A time-out as torch 2.6 and later print it."""
    return (
        f"[rank{rank}]:[E{clock} ProcessGroupNCCL.cpp:689] [Rank {rank}] Watchdog caught collective operation timeout: "
        f"WorkNCCL(SeqNum={seq}, OpType={op}, NumelIn={numel}, NumelOut={numel}, Timeout(ms)={timeout}) ran for {ran} milliseconds "
        "before timing out.\n"
        f"[rank{rank}]:[E{clock} ProcessGroupNCCL.cpp:2303] [PG ID 0 PG GUID 0(default_pg) Rank {rank}]  failure detected by watchdog "
        f"at work sequence id: {seq} PG status: last enqueued work: {seq}, last completed work: {seq - 1}\n"
    )


def aborted(*ranks: int) -> str:
    """What follows a watchdog's time-out."""
    return "".join(
        f"[rank{rank}]:[E1124 02:25:01.5 ProcessGroupNCCL.cpp:744] [Rank {rank}] Some NCCL operations have failed or timed out. Due to "
        "the asynchronous nature of CUDA kernels, subsequent GPU operations might run on corrupted/incomplete data.\n"
        f"[rank{rank}]:[E1124 02:25:01.5 ProcessGroupNCCL.cpp:758] [Rank {rank}] To avoid data inconsistency, we are taking the entire "
        "process down.\n"
        "terminate called after throwing an instance of 'c10::DistBackendError'\n"
        for rank in ranks
    )


def test_a_host_memory_ran_out_while_shards_were_loaded(tmp_path: Path) -> None:
    text = "Loading checkpoint shards:   0%|          | 0/15 [00:00<?, ?it/s]\n" * 6 + closing(100, 101, 102, 103, 105)
    text += (
        "E1124 02:43:57.100000 3425 torch/distributed/elastic/multiprocessing/api.py:984] failed (exitcode: -9) local_rank: 4 (pid: 104) "
        "of binary: /opt/venv/bin/python\n"
    )
    found = diagnosis_of(tmp_path, text + child_failed((4, -9, 104)))
    rule, cause = began(found)
    assert (rule, cause.rank) == ("killed-by-signal", 4)
    assert "5 children that the launcher ended" in cause.text
    assert found.run.outcome == "killed"


def test_b_rank_0_tokenised_while_the_others_waited(tmp_path: Path) -> None:
    text = "[2026-11-24 01:50:00,749] [INFO] [launch.py:180:main] dist_world_size=4\n"
    text += "Grouping texts in chunks of 2048 (num_proc=8):   8%|▊         | 30000/380000 [10:32<1:52:11, 51.99 examples/s]\n"
    text += "".join(watchdog(rank, 3, "ALLREDUCE", 1, ran=600888) for rank in (1, 2, 3)) + aborted(1, 2, 3)
    rule, cause = began(diagnosis_of(tmp_path, text))
    assert (rule, cause.rank, cause.is_inferred) == ("collective-timeout", 0, True)
    found = diagnosis_of(tmp_path, text).findings[cause.finding]
    assert found.facts["phase"] == "start-up"
    assert "barrier" in str(found.facts["reading"])


def test_c_rank_0_saved_onto_slow_storage(tmp_path: Path) -> None:
    text = "[2026-11-24 02:00:00,749] [INFO] [launch.py:180:main] dist_world_size=8\n" + STEPS
    text += "[2026-11-24 02:05:00,100] [INFO] [trainer.py:300] Saving latest checkpoint to /data/ckpt/latest.pt\n"
    text += "".join(watchdog(rank, 700, "ALLREDUCE", 306176, ran=1200027, timeout=1200000) for rank in range(1, 8))
    rule, cause = began(diagnosis_of(tmp_path, text))
    assert (rule, cause.rank, cause.is_inferred) == ("collective-timeout", 0, True)
    assert cause.time is not None
    finding = diagnosis_of(tmp_path, text).findings[cause.finding]
    assert finding.facts["phase"] == "checkpoint"


def test_d_a_batch_without_images_took_another_branch(tmp_path: Path) -> None:
    text = STEPS + "Invalidate trace cache @ step 1: expected module 25, but got module 323\n"
    text += "".join(
        watchdog(rank, 2713 - (rank == 2), "_ALLGATHER_BASE", 1024, ran=1800501, timeout=1800000) for rank in range(4)
    )
    text += aborted(0, 1, 2, 3) + closing(101, 102) + child_failed((0, -6, 100), ((3, -6, 103),))
    found = diagnosis_of(tmp_path, text)
    rule, cause = began(found)
    assert (rule, cause.rank, cause.is_inferred) == ("collective-timeout", 2, True)


def test_e_one_gpu_had_an_ecc_error(tmp_path: Path) -> None:
    text = (
        STEPS + watchdog(0, 81, "ALLREDUCE", 65536)
        + stack("RuntimeError: CUDA error: uncorrectable ECC error encountered", "[rank1]: ")
        + "[E ProcessGroupNCCL.cpp:916] [Rank 1] NCCL watchdog thread terminated with exception: CUDA error: uncorrectable ECC error encountered\n"
        + aborted(0) + child_failed((0, -6, 100), ((1, -6, 101),))
    )  # fmt: skip
    found = diagnosis_of(tmp_path, text)
    rule, cause = began(found)
    assert (rule, cause.rank, cause.is_inferred) == ("hardware-fault", 1, False)


def test_f_an_extension_could_not_be_linked_on_one_rank(tmp_path: Path) -> None:
    text = (
        "FAILED: cpu_adam.so\n/usr/bin/ld: cannot find -lcurand\ncollect2: error: ld returned 1 exit status\n"
        "ninja: build stopped: subcommand failed.\n" + stack("RuntimeError: Error building extension 'cpu_adam'", "[rank0]: ")
        + stack("ImportError: /root/.cache/torch_extensions/cpu_adam/cpu_adam.so: cannot open shared object file: No such file or directory", "[rank1]: ")
        + "Exception ignored in: <function DeepSpeedCPUAdam.__del__ at 0x7f2e8c0>\n"
        + stack("AttributeError: 'DeepSpeedCPUAdam' object has no attribute 'ds_opt_adam'")
        + "[2026-11-24 02:55:14,084] [ERROR] [launch.py:325:sigkill_handler] ['python3', '--local_rank=1'] exits with return code = 1\n"
    )  # fmt: skip
    found = diagnosis_of(tmp_path, text)
    rule, cause = began(found)
    assert rule == "dependency-error"
    assert cause.ref.line <= 7
    assert cause.rank in (None, 0)
    assert not ECHOES & {one.id for one in found.causes}


def test_g_a_port_went_down(tmp_path: Path) -> None:
    text = STEPS + "".join(
        f"node-48:{34050 + i}:{34121 + i} [{i}] transport/net_ib.cc:93 NCCL WARN NET/IB : Got async event : port error\n"
        for i in range(8)
    )
    text += (
        "node-51:73076:73185 [4] transport/net_ib.cc:1238 NCCL WARN NET/IB : Got completion from peer node48<37948> with error 12, opcode 2, "
        "len 1, vendor err 129\n"
        "node-51:73076:73185 [4] transport/net_ib.cc:1238 NCCL WARN NET/IB : Got completion from peer node48<37948> with error 5, opcode 2, "
        "len 1, vendor err 249\n"
    )
    rule, cause = began(diagnosis_of(tmp_path, text))
    assert (rule, cause.ref.line) == ("communication-error", 5)
    assert "node-48" in cause.ref.text


def test_h_nccl_found_no_device_memory(tmp_path: Path) -> None:
    text = (
        "n1:30:66 [0] misc/socket.cc:49 NCCL WARN socketProgress: Connection closed by remote peer n1<51159>\n"
        "n1:31:67 [1] misc/socket.cc:49 NCCL WARN socketProgress: Connection closed by remote peer n1<51159>\n"
        "n1:33:52 [3] include/alloc.h:178 NCCL WARN Cuda failure 'out of memory'\n"
        "n1:33:52 [3] include/alloc.h:185 NCCL WARN Failed to CUDA calloc 6291456 bytes\n"
    )
    found = diagnosis_of(tmp_path, text)
    assert began(found)[0] == "oom-cuda"
    assert began(found)[1].ref.line == 3
    assert set(rules_of(found)) == {"oom-cuda"}


def test_i_the_same_exception_of_all_ranks_is_one(tmp_path: Path) -> None:
    text = "".join(stack("OSError: [Errno 28] No space left on device", f"[rank{rank}]: ") for rank in range(4))
    text += child_failed((0, 1, 100), ((1, 1, 101), (2, 1, 102), (3, 1, 103)))
    found = diagnosis_of(tmp_path, text)
    assert began(found)[0] == "disk-full"
    (finding,) = [f for f in found.findings if f.rule == "disk-full"]
    assert (finding.facts["ranks"], finding.facts["count"]) == ("0-3", 4)


def test_j_an_absurd_allocation_after_a_timeout_is_an_echo(tmp_path: Path) -> None:
    text = STEPS + watchdog(1, 15, "BROADCAST", 8) + aborted(1)
    text += stack("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate more than 1EB memory.", "[rank1]: ")
    rule, cause = began(diagnosis_of(tmp_path, text))
    assert (rule, cause.ref.line) == ("collective-timeout", 5)


def test_k_the_store_s_complaints_after_a_crash(tmp_path: Path) -> None:
    complaint = (
        '[rank1]:[W1124 02:29:06.968 ProcessGroupNCCL.cpp:1686] [PG ID 0 PG GUID 0 Rank 1] Failed to check the "should dump" flag on '
        "TCPStore, (maybe TCPStore server has shut down too early), with error: Broken pipe\n"
    )
    text = STEPS + stack("ValueError: No available memory for the cache blocks.", "[rank0]: ") + complaint * 20
    found = diagnosis_of(tmp_path, text)
    rule, cause = began(found)
    assert (rule, cause.rank, cause.is_inferred) == ("traceback", 0, False)
    assert set(rules_of(found)) == {"traceback"}
    assert not ECHOES & {one.id for one in found.causes}


def test_the_shifted_clock_of_a_container_does_not_change_the_order(tmp_path: Path) -> None:
    """The shipper's stamps are eight hours ahead of c10d's: the exception at 17:20 comes before the wait that began at 17:19."""
    text = (
        "2026-11-24T17:15:00.000000000+00:00 " + stack("KeyError: 'labels'", "[rank2]: ").replace("\n", "\n2026-11-24T17:15:00.000000000+00:00 ", 2)
        + "2026-11-24T17:29:06.969000000+00:00 " + watchdog(0, 81, "ALLREDUCE", 65536, clock="1124 09:29:06.969").split("\n")[0] + "\n"
    )  # fmt: skip
    found = diagnosis_of(tmp_path, text)
    rule, cause = began(found)
    assert (rule, cause.rank) == ("traceback", 2)


def test_exit_codes_are_decoded(tmp_path: Path) -> None:
    for code, name in (
        (-9, "SIGKILL"),
        (-7, "SIGBUS"),
        (-11, "SIGSEGV"),
        (137, "SIGKILL"),
        (247, "SIGKILL"),
        (139, "SIGSEGV"),
    ):
        found = diagnosis_of(tmp_path, STEPS + child_failed((1, code, 5)))
        assert any(f.facts.get("signal") == name for f in found.findings), (code, name)
        assert began(found)[1].rank == 1


def test_a_log_explorer_s_prefix_hides_neither_the_rank_nor_the_exception(tmp_path: Path) -> None:
    text = "".join(
        f"ERROR 2026-08-03T18:51:06.6528{i:02d}Z [resource.labels.containerName: jax-tpu] [rank3]: {row}\n"
        for i, row in enumerate(
            (
                "Traceback (most recent call last):",
                'File "/deps/src/models/qwen3.py", line 661, in __call__',
                "ImportError: the kernel needs a package",
            )
        )
    )
    rule, cause = began(diagnosis_of(tmp_path, text))
    assert (rule, cause.rank, cause.ref.line) == ("dependency-error", 3, 3)
