"""Ray Train: which process is which rank, as the controller lists them and as each worker says when it joins.

`python/ray/train/_internal/backend_executor.py` (2.8 on; `rank=` in its first releases), `train/v2/…/worker_group.py`,
`train/torch/config.py`:

    (TorchTrainer pid=690) Started distributed worker processes:
    (TorchTrainer pid=690) - (node_id=eb3c53, ip=10.0.59.242, pid=7411) world_rank=1, local_rank=1, node_rank=0
    (TrainController pid=690) - (ip=10.0.59.242, pid=7411) world_rank=1, local_rank=1, node_rank=0
    (RayTrainWorker pid=7411) Setting up process group for: env:// [rank=1, world_size=8]

The processes' own lines (`(RayTrainWorker pid=7411, ip=10.0.59.242) …`) name no rank: `parsers.processes` gives them theirs.
"""

from __future__ import annotations

from collections.abc import Iterable

from parsers import kinds
from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Event, Fact, Record
from parsers.registry import text_reader

_LISTED = Lazy(
    r"\bip=(?P<ip>[\w.:]{1,60}), pid=(?P<pid>\d{1,9})\) (?:world_)?rank=(?P<rank>\d{1,6}), local_rank=(?P<local>\d{1,6})"
)
_JOINED = Lazy(r"Setting up process group for: .{0,200}\[rank=(?P<rank>\d{1,6}), world_size=(?P<world>\d{1,6})\]")
_WRITER = Lazy(r"\(\w{1,60} pid=(?P<pid>\d{1,9})(?:, ip=(?P<ip>[\w.:]{1,60}))?\)")


@text_reader(
    "ray_train",
    title="Ray Train: ranks of its processes",
    hints=(", local_rank=", "Setting up process group for"),
    example="(TorchTrainer pid=690) - (ip=10.0.59.242, pid=7411) world_rank=1, local_rank=1, node_rank=0",
)
class RayTrain:
    """Reads each line on its own."""

    hungry = False

    def feed(self, line: Line) -> Iterable[Record]:
        """The rank of one process."""
        if found := _LISTED.search(line.text[:4000]):
            data = {"pid": int(found["pid"]), "ip": found["ip"], "local_rank": int(found["local"])}
            yield Event(kinds.PROCESS_START, line.ref, rank=int(found["rank"]), time=line.time, data=data)
        elif found := _JOINED.search(line.text[:4000]):
            yield Fact("run:world_size", int(found["world"]), line.ref)
            if writer := _WRITER.search(line.raw[:200]):
                data = {"pid": int(writer["pid"]), "ip": writer["ip"] or ""}
                yield Event(kinds.PROCESS_START, line.ref, rank=int(found["rank"]), time=line.time, data=data)

    def close(self) -> Iterable[Record]:
        """Nothing is left over."""
        return ()
