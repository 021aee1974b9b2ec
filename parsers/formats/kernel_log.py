"""The kernel's ring buffer as `dmesg`, journald or syslog show it: the out-of-memory killer and NVIDIA's Xid.

    [  148.831566] oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=job1,…,task=python3,pid=1963,uid=0
    [  148.831586] Memory cgroup out of memory: Killed process 1963 (python3) total-vm:7851764kB, anon-rss:4183224kB, …
    Out of memory: Killed process 21747 (python) total-vm:…
    [123456.789012] NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.

Kubernetes and Ray say the first in their own words (`Reason: OOMKilled`, `killed due to memory pressure (OOM)`).
Xid 13, 31, 43 and 45 are mostly software (a bad kernel, a process that was ended) and are marked `is_software`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from parsers import kinds
from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Event, Record, Value
from parsers.registry import text_reader
from parsers.sated import sated

XIDS: Final = {
    13: "graphics engine exception", 31: "GPU memory page fault", 43: "GPU stopped processing", 45: "preemptive cleanup",
    48: "double bit ECC error", 61: "internal micro-controller breakpoint", 62: "internal micro-controller halt",
    63: "ECC page retirement or row remapping", 64: "ECC page retirement or row remapper failure",
    68: "video processor exception",
    69: "graphics engine class error", 74: "NVLink error", 79: "GPU has fallen off the bus", 92: "high single-bit ECC error rate",
    94: "contained ECC error", 95: "uncontained ECC error", 119: "GSP RPC timeout", 120: "GSP error",
    140: "unrecovered ECC error",
    149: "NVLink error", 154: "GPU recovery action changed",
}  # fmt: skip
SOFTWARE: Final = frozenset({13, 31, 43, 45, 68, 69})

_KILLED = Lazy(
    r"(?:(?P<cgroup>Memory cgroup) out of memory|Out of memory): Kill(?:ed)? process (?P<pid>\d+) "
    r"\((?P<name>[^)]{1,40})\)(?:.{0,80}?anon-rss:(?P<rss>\d+)kB)?"
)
_INVOKED = Lazy(r"oom-kill:constraint=(?P<constraint>\w+).{0,300}?task=(?P<name>[^,]{1,40}),pid=(?P<pid>\d+)")
_OTHERS = Lazy(r"\bOOMKilled\b|killed due to memory pressure \(OOM\)")
_XID = Lazy(r"NVRM: Xid \((?P<device>[^)]{1,60})\): (?P<xid>\d+)(?:, (?P<message>.{0,200}))?")
_FABRIC = Lazy(
    r"(?:nv-fabricmanager|fabric manager).{0,80}(?:don't match|does not match|failed|fatal)|uncorrectable NVLink|NVSwitch fatal"
)


@text_reader(
    "kernel_log",
    title="kernel messages: out-of-memory killer, NVIDIA Xid; Kubernetes and Ray memory kills",
    hints=(
        "out of memory: Kill", "Out of memory: Kill", "oom-kill:constraint", "NVRM: Xid", "OOMKilled", "memory pressure (OOM)",
        "fabricmanager", "fabric manager", "uncorrectable NVLink", "NVSwitch fatal",
    ),
    example="Memory cgroup out of memory: Killed process 1963 (python3) total-vm:7851764kB, anon-rss:4183224kB, "
    "file-rss:365420kB",
)  # fmt: skip
@sated
class KernelLog:
    """Reads each line on its own."""

    hungry = False

    def feed(self, line: Line) -> Iterable[Record]:
        """A memory kill or a fault of the GPU."""
        text = line.text[:4000]
        if found := _KILLED.search(text):
            data: dict[str, Value] = {"process": found["name"], "pid": int(found["pid"]), "sender": "kernel"}
            data["constraint"] = "cgroup" if found["cgroup"] else "host"
            if found["rss"]:
                data["rss"] = int(found["rss"]) * 1024
            yield Event(kinds.HOST_OOM, line.ref, time=line.time, data=data)
        elif found := _INVOKED.search(text):
            constraint = "cgroup" if found["constraint"] == "CONSTRAINT_MEMCG" else "host"
            data = {"process": found["name"], "pid": int(found["pid"]), "sender": "kernel", "constraint": constraint}
            yield Event(kinds.HOST_OOM, line.ref, time=line.time, data=data)
        elif found := _XID.search(text):
            yield from _xid(line, found.groupdict())
        elif _OTHERS.search(text):
            sender = "ray" if "pressure" in text else "kubernetes"
            yield Event(kinds.HOST_OOM, line.ref, time=line.time, data={"sender": sender, "constraint": "cgroup"})
        elif _FABRIC.search(text):
            yield Event(kinds.HARDWARE, line.ref, time=line.time, data={"message": text[:200]})

    def close(self) -> Iterable[Record]:
        """Nothing is left over."""
        return ()


def _xid(line: Line, found: dict[str, str | None]) -> Iterator[Record]:
    xid = int(found["xid"] or 0)
    data: dict[str, Value] = {
        "xid": xid, "device": found["device"], "message": XIDS.get(xid) or (found["message"] or "")[:160],
        "is_software": xid in SOFTWARE,
    }  # fmt: skip
    yield Event(kinds.HARDWARE, line.ref, time=line.time, data=data)
