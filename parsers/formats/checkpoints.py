"""Lines that say that a checkpoint is being written, of frameworks without a reader of their own for them.

    [2024-03-11 05:47:20,731] [INFO] [torch_checkpoint_engine.py:21:save] [Torch] Saving out/mp_rank_00_model_states.pt...
    Saving checkpoint. This may take some time. Retrieving full model state dict...                             torchtune
    INFO:root:Saving latest checkpoint to /data/ckpt/latest.ckpt                                                 and kin
    rank 0: saving checkpoint to checkpoint.pt                                                     loops that name the rank

DeepSpeed (`deepspeed/runtime/checkpoint_engine/torch_checkpoint_engine.py`) prints one line a file and rank: the first of a
few lines is told. What matters is where they stand: a collective that times out afterwards waited for a rank that saves.
"""

from __future__ import annotations

from collections.abc import Iterable

from parsers import kinds
from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Event, Record
from parsers.registry import text_reader
from parsers.sated import sated

NEAR = 20
"""Lines within which one save prints several."""

_DEEPSPEED = Lazy(r"\[Torch\] Saving (?P<path>\S{1,300}?)\.{0,3}(?:$|\s)")
_OTHERS = Lazy(r"Saving (?:latest |best )?checkpoint(?:\. This may take some time| to (?P<path>/\S{1,300}))")

_RANKED = Lazy(r"\b[Rr]ank[ =]?(?P<rank>\d{1,6})\]?:? {0,2}[Ss]aving (?:latest |best )?checkpoint to (?P<path>\S{1,300})")


@text_reader(
    "checkpoints",
    title="checkpoints being written (DeepSpeed, torchtune and kin)",
    hints=(
        "[Torch] Saving ",
        "Saving checkpoint. This may take",
        "aving latest checkpoint to",
        "aving best checkpoint to",
        "aving checkpoint to ",
    ),
    example="[2024-03-11 05:47:20,731] [INFO] [torch_checkpoint_engine.py:21:save] [Torch] Saving out/mp_rank_00.pt...",
)
@sated
class Checkpoints:
    """Reads each line on its own, and passes over the further files of one save."""

    hungry = False

    def __init__(self) -> None:
        self._quiet_until = 0

    def feed(self, line: Line) -> Iterable[Record]:
        """The beginning of a save."""
        text = line.text[:2000]
        if ranked := _RANKED.search(text):
            data = {"path": ranked["path"]}
            yield Event(kinds.CHECKPOINT, line.ref, rank=int(ranked["rank"]), time=line.time, data=data)
        elif (found := _DEEPSPEED.search(text) or _OTHERS.search(text)) and line.no >= self._quiet_until:
            self._quiet_until = line.no + NEAR
            yield Event(kinds.CHECKPOINT, line.ref, rank=line.rank, time=line.time, data={"path": found["path"]})

    def close(self) -> Iterable[Record]:
        """Nothing is left over."""
        return ()
