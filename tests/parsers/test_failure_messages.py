"""Failure messages that are no exceptions: launchers, schedulers, the kernel, the GPU, NCCL."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from analyzer.incidents import FAILURES
from parsers import kinds
from parsers.formats.cuda_memory import sizes
from parsers.line import make_line
from parsers.registry import text_formats
from tests.failures import child_failed, events_of
from tests.parsers.logs import run_of

GIB = 2.0**30


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CUDA out of memory. Tried to allocate 376.00 MiB (GPU 0; 3.95 GiB total capacity; 1.72 GiB already allocated; 354.88 MiB free; "
         "2.46 GiB reserved in total by PyTorch)",
         {"tried": 376 * 2**20, "total": 3.95 * GIB, "allocated": 1.72 * GIB, "free": 354.88 * 2**20, "reserved": 2.46 * GIB, "gpu": 0}),
        ("CUDA out of memory. Tried to allocate 1.95 GiB. GPU 1 has a total capacty of 14.57 GiB of which 1.58 GiB is free. Process 2493055 "
         "has 12.02 GiB memory in use. Process 7 has 1.00 GiB memory in use. Including non-PyTorch memory, this process has 966.00 MiB memory "
         "in use. Of the allocated memory 734.07 MiB is allocated by PyTorch, and 33.93 MiB is reserved by PyTorch but unallocated.",
         {"tried": 1.95 * GIB, "total": 14.57 * GIB, "free": 1.58 * GIB, "other": 13.02 * GIB, "own": 966 * 2**20,
          "allocated": 734.07 * 2**20, "reserved": 33.93 * 2**20, "gpu": 1}),
    ],
)  # fmt: skip
def test_the_sizes_of_an_allocation_in_old_and_new_wordings(text: str, expected: dict[str, float]) -> None:
    found = sizes(text)
    assert {key: found[key] for key in expected} == pytest.approx(expected)


def test_torchrun_s_block_tells_the_root_from_the_children_it_ended(tmp_path: Path) -> None:
    events = events_of(tmp_path, child_failed((1, -9, 1414), ((0, -15, 1413),)), kinds.CHILD_FAILED)
    assert [(e.rank, e.data["exit_code"], e.data["signal"], e.data["is_collateral"]) for e in events] == [
        (0, -15, "SIGTERM", True),
        (1, -9, "SIGKILL", False),
    ]
    assert events[1].data["is_root"] is True
    assert events[1].time == 1795488236.0


@pytest.mark.parametrize(
    ("line", "kind", "data"),
    [
        ("E1124 02:40:44.677000 16404 torch/distributed/elastic/multiprocessing/api.py:1002] failed (exitcode: -9) local_rank: 4 (pid: 16453) "
         "of binary: python3", kinds.CHILD_FAILED, {"exit_code": -9, "signal": "SIGKILL", "local_rank": 4, "pid": 16453}),
        ("W0920 09:10:41.194000 84933 torch/distributed/elastic/agent/server/api.py:719] Received 1 death signal, shutting down workers",
         kinds.SIGNAL, {"signal": "SIGHUP", "number": 1}),
        ("W0216 00:45:50 1 torch/distributed/elastic/agent/server/api.py:688] Received Signals.SIGINT death signal, shutting down workers",
         kinds.INTERRUPTED, {"signal": "SIGINT"}),
        ("[2026-11-24 02:44:19,411] [ERROR] [launch.py:321:sigkill_handler] ['python3', '--local_rank=7'] exits with return code = -7",
         kinds.CHILD_FAILED, {"launcher": "deepspeed", "signal": "SIGBUS"}),
        ("[2026-11-24 02:56:03,748] [INFO] [launch.py:344:sigkill_handler] Main process received SIGTERM, exiting", kinds.SIGNAL,
         {"signal": "SIGTERM", "sender": "deepspeed"}),
        (".run.sh: line 1:  1248 Killed                  python3 train.py", kinds.SIGNAL, {"signal": "SIGKILL", "pid": 1248}),
        (" 30%|███       | 30/100 [00:02<00:03, 22.41it/s]Terminated", kinds.SIGNAL, {"signal": "SIGTERM"}),
        ("Segmentation fault (core dumped)", kinds.SIGNAL, {"signal": "SIGSEGV"}),
        ("Fatal Python error: Segmentation fault", kinds.SIGNAL, {"signal": "SIGSEGV", "sender": "faulthandler"}),
        ("mpirun noticed that process rank 1 with PID 42 on node n3 exited on signal 9 (Killed).", kinds.CHILD_FAILED, {"signal": "SIGKILL"}),
        ("slurmstepd: error: *** JOB 123456 ON node01 CANCELLED AT 2024-05-01T12:00:00 DUE TO TIME LIMIT ***", kinds.SCHEDULER,
         {"reason": "TIME LIMIT", "job": "123456", "node": "node01", "is_collateral": False}),
        ("slurmstepd: error: Detected 1 oom_kill event in StepId=123456.0. Some of the step tasks have been OOM Killed.", kinds.HOST_OOM,
         {"sender": "slurm"}),
        ("srun: error: node01: task 4: Out Of Memory", kinds.HOST_OOM, {"tasks": "4"}),
        ("srun: error: node01: tasks 0-3: Exited with exit code 1", kinds.CHILD_FAILED, {"exit_code": 1, "launcher": "slurm"}),
        ("[  148.8] Memory cgroup out of memory: Killed process 1963 (python3) total-vm:7851764kB, anon-rss:4183224kB, x", kinds.HOST_OOM,
         {"process": "python3", "pid": 1963, "constraint": "cgroup", "rss": 4183224 * 1024}),
        ("[1.0] NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.", kinds.HARDWARE,
         {"xid": 79, "device": "PCI:0000:3b:00", "is_software": False}),
        ("node-51:73076:73185 [4] transport/net_ib.cc:1238 NCCL WARN NET/IB : Got completion from peer node48<37948> with error 12, opcode 2",
         kinds.COMMUNICATION_ERROR, {"code": "12", "peer": "node48", "device": 4, "is_peer": False}),
        ("include/alloc.h:178 NCCL WARN Cuda failure 'out of memory'", kinds.CUDA_OOM, {"sender": "NCCL"}),
        ("[E108 20:04:34.467642512 socket.cpp:957] [c10d] The client socket has timed out after 900s while trying to connect to (10.0.0.1, 29500).",
         kinds.COMMUNICATION_ERROR, {"backend": "store"}),
        ("train.py: error: unrecognized arguments: --evaluation_strategy steps", kinds.CONFIG_ERROR, {}),
        ("/usr/bin/ld: cannot find -lcurand: No such file or directory", kinds.DEPENDENCY_ERROR, {"action": "build"}),
    ],
)  # fmt: skip
def test_a_message_is_read_for_what_it_says(line: str, kind: str, data: dict[str, object], tmp_path: Path) -> None:
    (event,) = events_of(tmp_path, f"{line}\n", kind)
    assert {key: event.data.get(key) for key in data} == data
    assert event.ref.line == 1


def test_a_cancelled_step_after_a_memory_kill_is_collateral(tmp_path: Path) -> None:
    text = "srun: error: gpu20-15: task 0: Out Of Memory\nslurmstepd: error: *** STEP 9.0 ON gpu20-15 CANCELLED AT 2022-05-17T17:58:10 ***\n"
    (event,) = events_of(tmp_path, text, kinds.SCHEDULER)
    assert event.data["is_collateral"] is True


def test_the_watchdog_s_two_lines_are_one_event(tmp_path: Path) -> None:
    text = (
        "[rank0]:[E1124 02:46:39.915773462 ProcessGroupNCCL.cpp:689] [Rank 0] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=81, "
        "OpType=ALLREDUCE, NumelIn=65536, NumelOut=65536, Timeout(ms)=15000) ran for 15022 milliseconds before timing out.\n"
        "[rank0]:[E1124 02:46:39.915970960 ProcessGroupNCCL.cpp:2303] [PG ID 0 PG GUID 0(default_pg) Rank 0]  failure detected by watchdog at "
        "work sequence id: 81 PG status: last enqueued work: 82, last completed work: 80\n"
    )
    (event,) = events_of(tmp_path, text, kinds.COLLECTIVE_TIMEOUT)
    assert (event.rank, event.ref.line) == (0, 1)
    expected = {
        "op": "ALLREDUCE",
        "seq": 81,
        "numel": 65536,
        "ran_ms": 15022,
        "last_enqueued": 82,
        "last_completed": 80,
        "group": "0(default_pg)",
    }
    assert {key: event.data[key] for key in expected} == expected


def test_the_watchdog_of_old_torch_names_no_size(tmp_path: Path) -> None:
    text = (
        "[E ProcessGroupNCCL.cpp:828] [Rank 2] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=18364, OpType=ALLGATHER, "
        "Timeout(ms)=4800000) ran for 4804648 milliseconds before timing out.\n"
    )
    (event,) = events_of(tmp_path, text, kinds.COLLECTIVE_TIMEOUT)
    assert (event.rank, event.data["op"], event.data["numel"]) == (2, "ALLGATHER", None)


def test_hundreds_of_assertions_are_one_with_their_count(tmp_path: Path) -> None:
    line = "/pytorch/aten/src/ATen/native/cuda/Loss.cu:245: nll_loss: block: [0,0,0], thread: [{},0,0] Assertion `t >= 0 && t < n_classes` failed.\n"
    events = events_of(tmp_path, "".join(line.format(i) for i in range(300)), kinds.DEVICE_ASSERT)
    assert {event.ref.line for event in events} == {1}
    assert [event.data["count"] for event in events] == [1, 300]


@pytest.mark.parametrize(
    "line",
    [
        "[2026-11-24 02:35:56,656] [INFO] [launch.py:335:sigkill_handler] Killing subprocess 2773",
        "[rank0]:[W1124 02:46:40.836963345 ProcessGroupNCCL.cpp:1575] Warning: WARNING: destroy_process_group() was not called before exit",
        "[2026-11-24 02:45:52,994] [WARNING] [runner.py:215:fetch_hostfile] Unable to find hostfile, will proceed with local resources only.",
        " [WARNING]  async_io requires the dev libaio .so object and headers but these were not found.",
        "[2026-11-24 02:46:13,748] [INFO] [launch.py:155:main] 0 NV_LIBNCCL_DEV_PACKAGE_NAME=libnccl-dev",
        "Jobs Killed: 3, Terminated early: 2",
        "{'loss': 0.1, 'word_error': 0.2, 'eval_error': 0.3, 'error_rate': 0.4}",
        'node1:1:1 [0] NCCL WARN Missing "iommu=pt" from kernel command line which can lead to system instablity or hang!',
        "node1:1:1 [0] ras/client_support.cc:1 NCCL WARN Call to bind failed: Address already in use",
        "[rank0]:[W519 19:51:11.3 CUDACachingAllocator.cpp:495] expandable_segments: memory mapping failed with OOM on device 0 out of memory",
        "Setting OMP_NUM_THREADS environment variable for each process to be 1 in default",
        "Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.",
    ],
)
def test_the_noise_of_healthy_runs_makes_no_failure(line: str, tmp_path: Path) -> None:
    assert not events_of(tmp_path, f"{line}\n", *FAILURES)


READERS = [
    form for form in text_formats()
    if form.name in {"python_traceback", "cuda_memory", "torchrun", "deepspeed_exit", "process_group", "nccl", "slurm", "kernel_log", "signals",
                     "device_assert", "disk_full", "dataloader", "usage_errors", "op_build", "host_memory"}
]  # fmt: skip


@pytest.mark.parametrize("form", READERS, ids=lambda form: form.name)
def test_a_line_of_a_megabyte_takes_no_quadratic_time(form: object, tmp_path: Path) -> None:
    big = 2**20
    for data in (
        b"A" * big,
        b" " * big,
        b"a." * (big // 2),
        b"Error: " * (big // 7),
        b"1" * big,
        b'File "' * (big // 6),
        b"*** JOB 1 ON " * (big // 13),
    ):
        line = make_line("run.log", 1, data)
        line.hints = (b"Error: ",)
        reader = form.make()  # type: ignore[attr-defined]
        start = time.perf_counter()
        list(reader.feed(line))
        list(reader.close())
        assert time.perf_counter() - start < 5.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("exiting program after receiving SIGTERM.\n", {"signal": "SIGTERM", "sender": "program"}),
        ("=>> PBS: job killed: walltime 3660 exceeded limit 3600\n", {"reason": "TIME LIMIT", "sender": "pbs"}),
        ("TERM_MEMLIMIT: job killed after reaching LSF memory usage limit.\n", {"sender": "lsf"}),
        ("-- Process 1 terminated with the following error:\n", {"launcher": "spawn", "local_rank": 1, "exit_code": 1}),
        ("[rank: 1] Child process with PID 4242 terminated with code -9. Forcefully terminating all other processes to avoid zombies\n",
         {"launcher": "lightning", "signal": "SIGKILL"}),
        ("slurmstepd: error: Job 7 exceeded memory limit (70000 > 65536), being killed\n", {"sender": "slurm"}),
        ("Traceback (most recent call last):\n  File \"/x/accelerate/commands/launch.py\", line 1017, in launch_command\n"
         "subprocess.CalledProcessError: Command '['python', 'train.py']' died with <Signals.SIGKILL: 9>.\n",
         {"launcher": "accelerate", "signal": "SIGKILL"}),
    ],
)  # fmt: skip
def test_other_launchers_and_schedulers(text: str, expected: dict[str, object], tmp_path: Path) -> None:
    found = [event for event in events_of(tmp_path, text, *FAILURES) if event.kind != kinds.TRACEBACK]
    assert len(found) == 1
    assert {key: found[0].data.get(key) for key in expected} == expected


@pytest.mark.parametrize(
    "text",
    [
        "[E ProcessGroupNCCL.cpp:828] [Rank 2] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=81, "
        "OpType=ALLREDUCE, TensorShape=[4, 65536], Timeout(ms)=1800000) ran for 1802710 milliseconds before timing out.",
        "[ERROR] HCCL(1234,python):2025-03-14-15:43:53.370 [hccl_socket_manager.cc:813] [137400][Wait][LinksEstablish] "
        "wait socket establish timeout, role[0] rank[3] timeout[120]",
    ],
    ids=["torch 1.13 and 2.0", "HCCL"],
)
def test_collectives_that_timed_out_elsewhere(text: str) -> None:
    assert [event.kind for event in run_of(text + "\n").events] == ["collective-timeout"]
