"""SLURM: cancellations, time limits, failed tasks, memory kills; submitit's handling of signals.

`src/srun/launch.c`, `slurmstepd/req.c`, `task/cgroup`:

    slurmstepd: error: *** JOB 123456 ON node01 CANCELLED AT 2024-05-01T12:00:00 DUE TO TIME LIMIT ***
    slurmstepd: error: Detected 1 oom_kill event in StepId=123456.0. Some of the step tasks have been OOM Killed.
    srun: error: node01: task 4: Out Of Memory
    srun: error: node01: tasks 0-3: Exited with exit code 1
    srun: error: node01: task 2: Segmentation fault (core dumped)
    submitit WARNING (2022-07-12 04:18:45,881) - Caught signal SIGHUP on learnfair0293: this job is preempted.

A step that is cancelled after one of its tasks failed, or after a memory kill, is collateral: the reader marks a
cancellation without a reason that follows such a line (`is_collateral`). Without one it was cancelled by hand. So are tasks
that are `Killed` after another had exited with an error: `srun --kill-on-bad-exit` did it.

Where torchrun or DeepSpeed's launcher started the ranks, srun's tasks are nodes: their readers say so
(`run:tasks_are_nodes`), and `parsers.processes` takes the rank back, as their lines may come later, or in another file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from parsers import exit_codes, kinds
from parsers.lazy import Lazy
from parsers.line import Line, stamp
from parsers.model import Event, Record, Value
from parsers.registry import text_reader
from parsers.sated import sated

_CANCELLED = Lazy(
    r"\*\*\* (?P<what>JOB|STEP) (?P<job>[\d.]+)(?: ON (?P<node>\S+))? (?:CANCELLED|STEPD TERMINATED ON \S+) "
    r"AT (?P<time>[\dT:-]+)(?: DUE TO (?P<reason>[A-Z ]+))?"
)
_OOM = Lazy(r"Detected \d+ oom[-_]kill event|oom_kill event|slurmstepd: error: .{0,80}[Ee]xceeded (?:job )?memory limit")
_TASK = Lazy(r"srun: error: (?P<node>[^:\s]{1,120}): tasks? (?P<tasks>[\d,-]+): (?P<what>.{1,80})")
_EXITED = Lazy(r"Exited with exit code (?P<code>\d+)")
_PREEMPTED = Lazy(r"submitit \w+ .{0,40}Caught signal (?P<signal>SIG\w+) on (?P<node>[\w.-]+): this job is (?P<what>[\w ]+)\.")
_WORDS = {
    "Killed": 9, "Terminated": 15, "Segmentation fault": 11, "Aborted": 6, "Bus error": 7, "Hangup": 1,
    "Floating point exception": 8,
    "Illegal instruction": 4,
}  # fmt: skip


@text_reader(
    "slurm",
    title="SLURM (srun, slurmstepd) and submitit",
    hints=(
        "CANCELLED AT",
        "STEPD TERMINATED",
        "oom-kill event",
        "oom_kill event",
        "memory limit",
        "srun: error:",
        "submitit",
    ),
    example="slurmstepd: error: *** JOB 123456 ON node01 CANCELLED AT 2024-05-01T12:00:00 DUE TO TIME LIMIT ***",
)
@sated
class Slurm:
    """Remembers whether a task had failed before a cancellation."""

    hungry = False

    def __init__(self) -> None:
        self._has_failed = False
        self._has_exited = False

    def feed(self, line: Line) -> Iterable[Record]:
        """What the scheduler says about the job or its tasks."""
        text = line.text
        if found := _CANCELLED.search(text):
            yield self._cancelled(line, found.groupdict())
        elif _OOM.search(text):
            self._has_failed = True
            yield Event(kinds.HOST_OOM, line.ref, time=line.time, data={"sender": "slurm", "constraint": "cgroup"})
        elif found := _TASK.search(text):
            yield from self._task(line, found.groupdict())
        elif found := _PREEMPTED.search(text):
            reason = "PREEMPTION" if "preempt" in found["what"] else found["what"].upper()
            data: dict[str, Value] = {"reason": reason, "node": found["node"], "signal": found["signal"], "sender": "submitit"}
            yield Event(kinds.SCHEDULER, line.ref, time=line.time, data=data)

    def close(self) -> Iterable[Record]:
        """Nothing is left over."""
        return ()

    def _cancelled(self, line: Line, found: dict[str, str | None]) -> Event:
        reason = (found["reason"] or "").strip()
        data: dict[str, Value] = {
            "reason": reason, "job": found["job"], "node": found["node"], "sender": "slurm",
            "is_collateral": reason == "TASK FAILURE" or (not reason and self._has_failed),
        }  # fmt: skip
        self._has_failed = False
        return Event(kinds.SCHEDULER, line.ref, time=stamp(found["time"] or "") or line.time, data=data)

    def _task(self, line: Line, found: dict[str, str | None]) -> Iterator[Record]:
        what = found["what"] or ""
        tasks = found["tasks"] or ""
        rank = int(tasks) if tasks.isdigit() else None
        where: dict[str, Value] = {"launcher": "slurm", "host": found["node"], "tasks": tasks}
        if "Out Of Memory" in what:
            self._has_failed = True
            yield Event(
                kinds.HOST_OOM, line.ref, rank=rank, time=line.time, data=where | {"sender": "slurm", "constraint": "cgroup"}
            )
            return
        exited = _EXITED.search(what)
        number = next((number for word, number in _WORDS.items() if what.startswith(word)), 0)
        code = int(exited["code"]) if exited else -number
        if not code:
            return
        is_collateral = exit_codes.is_terminated(code) or (code == -9 and self._has_exited)
        self._has_failed = self._has_failed or not is_collateral
        self._has_exited = self._has_exited or code > 0
        data = where | {"exit_code": code, "signal": exit_codes.signal_of(code), "is_collateral": is_collateral}
        yield Event(kinds.CHILD_FAILED, line.ref, rank=rank, time=line.time, data=data)
