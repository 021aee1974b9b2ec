"""DeepSpeed's launcher: how many processes, and the full command line.

Printed by `deepspeed/launcher/runner.py` and `launch.py`, at level INFO in every version (the launcher has its own level):

    [2023-12-08 10:10:00,530] [INFO] [runner.py:570:main] cmd = python3 -u -m deepspeed.launcher.launch --world_info=eyJ… a.py …
    [2023-12-08 10:10:03,001] [INFO] [launch.py:145:main] WORLD INFO DICT: {'localhost': [0, 1]}
    [2023-12-08 10:10:03,001] [INFO] [launch.py:151:main] nnodes=1, num_local_procs=2, node_rank=0
    [2023-12-08 10:10:03,001] [INFO] [launch.py:163:main] dist_world_size=2
    [2023-12-08 10:10:03,201] [INFO] [launch.py:253:main] process 165 spawned with command: ['python3', '--local_rank=1', …]
    [2023-12-08 10:20:59,201] [ERROR] [launch.py:321:sigkill_handler] ['python3', 'a.py', …] exits with return code = 1

The `--local_rank=` of a `spawned` line (since 0.14) belongs to that process; that of the exit line does not (`deepspeed_exit`).
It starts one process a rank: under it srun's tasks are nodes (`run:tasks_are_nodes`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from parsers import command, kinds, packages
from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Event, Fact, Record, Value
from parsers.registry import text_reader
from parsers.sated import sated

_SIZE = Lazy(r"dist_world_size=(?P<size>\d{1,7})\b")
_NODES = Lazy(r"nnodes=(?P<nodes>\d{1,6}), num_local_procs=(?P<procs>\d{1,6})")
_SPAWNED = Lazy(r"(?:spawned with command: |\] )\[(?P<list>'(?:[^'\\]|\\.)*'(?:, (?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"))+)\]")
_PROCESS = Lazy(r"process (?P<pid>\d{1,10}) spawned with command: .{0,4000}--local_rank=(?P<local>\d{1,6})\b")
_WORD = Lazy(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"")
_NCCL = Lazy(r"\] \d+ NCCL_VERSION=(?P<version>[\d.]+)")


@text_reader(
    "deepspeed_launcher",
    title="DeepSpeed launcher: processes and command line",
    hints=(
        "] cmd = ",
        "dist_world_size=",
        "num_local_procs=",
        "spawned with command: [",
        "exits with return code",
        " NCCL_VERSION=",
        "[launch.py:",
    ),
    example="[2023-12-08 10:10:03,001] [INFO] [launch.py:163:main] dist_world_size=2",
)
@sated
class DeepSpeedLauncher:
    """Reads the launcher's facts; one command line is as good as eight equal ones."""

    hungry = False

    def __init__(self) -> None:
        self._has_command = False
        self._is_known = False

    def feed(self, line: Line) -> Iterable[Record]:
        """Facts of one line."""
        text = line.text
        if not self._is_known and "[launch.py:" in text:
            self._is_known = True
            yield Fact("run:tasks_are_nodes", True, line.ref)
        if process := _PROCESS.search(text):
            data: dict[str, Value] = {"pid": int(process["pid"]), "local_rank": int(process["local"])}
            yield Event(kinds.PROCESS_START, line.ref, time=line.time, data=data)
        if "] cmd = " in text:
            self._has_command = True
            yield from command.facts(command.words(text.partition("] cmd = ")[2]), line.ref)
        elif not self._has_command and ("spawned with command: [" in text or "exits with return code" in text):
            found = _SPAWNED.search(text)
            if found:
                self._has_command = True
                yield from command.facts([a or b for a, b in _words(found["list"])], line.ref)
        else:
            yield from _sizes(line)

    def close(self) -> Iterable[Record]:
        """Nothing is left over."""
        return ()


def _words(text: str) -> Iterator[tuple[str, str]]:
    for found in _WORD.finditer(text):
        yield found[1] or "", found[2] or ""


def _sizes(line: Line) -> Iterator[Record]:
    if found := _SIZE.search(line.text):
        yield Fact("run:world_size", int(found["size"]), line.ref)
    elif found := _NODES.search(line.text):
        yield Fact("run:nnodes", int(found["nodes"]), line.ref)
    elif found := _NCCL.search(line.text):
        yield from packages.facts("nccl", found["version"], line.ref, 1)
