"""TensorBoard event files: scalars, texts and hyperparameters of any framework that writes them.

Written by `torch/utils/tensorboard/writer.py`, `tensorboardX`, TensorFlow's `summary_ops_v2.py` and through them by the
Hugging Face Trainer, Lightning, DeepSpeed's monitor, Megatron-LM, Keras, mmengine, torchtitan, MaxText, verl. A file is
named `events.out.tfevents.<seconds>.<host>.<pid>.<n>` and holds framed protobuf records (`tfevents_frames`):

    tag "train/loss"  step 20  simple_value 0.0        torch, tensorboardX, TF 1
    tag "epoch_loss"  step 3   tensor DT_FLOAT         TF 2, torch with new_style=True

Every point of the file is kept, also those that TensorBoard hides when a writer restarts (`SessionLog` START, torch's
`purge_step`): the restart is a resume event and begins a new segment. A tag keeps its name; the folder tells the split
(`tfevents_place`), and x values that count samples or tokens become steps (`tfevents_axis`). `line` is the ordinal of
the record. Histograms, images, audio and graphs are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from parsers.model import Record
from parsers.registry import file_reader

NAME: Final = "tensorboard"
_SANE: Final = 2**30


def matches(path: Path, first: bytes) -> bool:
    """Whether this is an event file: by its first record's length and CRC, or by its name where the record is damaged."""
    if int.from_bytes(first[:8], "little") < _SANE:  # of a text never: the decoder is imported for nothing else
        from parsers.tfevents_frames import length_of

        if length_of(first[:12]) is not None:
            return True
    is_named = "tfevents" in path.name and not path.name.endswith((".json", ".csv", ".txt", ".log", ".gz", ".zip"))
    return is_named and b"\0" in first[:64]


@file_reader(
    NAME,
    title="TensorBoard event files (torch, tensorboardX, TensorFlow 1 and 2)",
    example="events.out.tfevents.1795486664.vm.18999.0",
    matches=matches,
    is_binary=True,
)
def read(path: Path) -> Iterator[Record]:
    """Curves as columns, then facts, restarts, the Trainer's end, and what could not be read."""
    from parsers.tfevents import decode
    from parsers.tfevents_records import records

    yield from records(decode(path), NAME)
