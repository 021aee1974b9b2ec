"""What the place of an event file says: which split it holds, and which curve of `add_scalars`.

Keras, TF estimators and fairseq write one directory a split (`train/`, `validation/`, `eval/`, `valid/`), all with the
same tags. torch's `add_scalars("Loss", {"train": …, "val": …})` writes one directory a curve (`Loss_train/`, `Loss_val/`;
tensorboardX: `Loss/train/`, `Loss/val/`), all with the tag `Loss`; `add_hparams` writes a directory named by time
(`1795487985.7246397/`).
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Final, Literal

from parsers.lazy import Lazy

_EVAL_FOLDER: Final = Lazy(r"validation|valid\d*|val|eval|evaluation")
"""Folders of an evaluation, whatever stands beside them (fairseq: `valid1` for the second validation set)."""
_TRAIN_FOLDERS: Final = ("train", "train_inner", "training")


def split(path: str | Path) -> Literal["train", "eval", "summary"] | None:
    """The split that the folder of an event file names, or None.

    Beside fairseq's `train_inner` (an interval's means), `train` holds the epochs' means: a summary.

    `test` and `dev` count beside a `train` only, `eval_<name>` (TF estimators) below a folder that holds event files.
    """
    folder = Path(path).absolute().parent
    name = folder.name.lower()
    if _EVAL_FOLDER.fullmatch(name) or (name.startswith("eval_") and _holds_events(folder.parent)):
        return "eval"
    if name in _TRAIN_FOLDERS:
        return "summary" if name == "train" and (folder.parent / "train_inner").is_dir() else "train"
    if name in ("test", "dev") and any((folder.parent / other).is_dir() for other in _TRAIN_FOLDERS):
        return "eval"
    return None


def curve(path: str | Path, tags: Collection[str]) -> str | None:
    """The key that `add_scalars` gave the only curve of this file, or None where it is no file of `add_scalars`.

    torch's folder is the tag (`/` as `_`), `_` and the key; tensorboardX makes a folder of the key below one of the tag.
    The writer's own event file lies in the folder above.
    """
    if len(tags) != 1:
        return None
    tag = next(iter(tags))
    folder = Path(path).absolute().parent
    stem = tag.replace("/", "_") + "_"
    if folder.name.startswith(stem) and folder.name != stem:
        return folder.name[len(stem) :] if _holds_events(folder.parent) else None
    parts = tuple(part for part in tag.split("/") if part)
    if parts and folder.parts[-len(parts) - 1 : -1] == parts:
        return folder.name if _holds_events(folder.parents[len(parts)]) else None
    return None


def _holds_events(folder: Path) -> bool:
    try:
        return any("tfevents" in name for name in os.listdir(folder))
    except OSError:
        return False
