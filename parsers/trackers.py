"""Folders that a tracker marks as a run, whatever its name looks like.

multirun/2026-11-24/10-00-00/3/.hydra/          Hydra: each job of a sweep is a run, though its folder is a bare number
mlruns/0/4f2a…/meta.yaml + metrics/ + params/   MLflow's file store: files without a suffix below metrics/ and params/;
                                                the only run of a store beside a run's log belongs to that run
wandb/run-20261124_100000-ab12/                 W&B: files/ belongs to it (its config.yaml, too), debug*.log are the client's own
wandb/offline-run-…                             the only one beside a run's log belongs to that run, and its output.log is
                                                what that log holds already
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence, Set
from typing import Final, Literal

_WANDB: Final = re.compile(r"(offline-)?run-\d{8}_\d{6}-\w+")
_STORE_FOLDERS: Final = frozenset({"metrics", "params"})


class Marked:
    """The marked folders of a tree, told folder by folder from the top."""

    def __init__(self) -> None:
        self.runs: set[str] = set()
        self._stores: set[str] = set()
        self._wandb: dict[str, list[str]] = {}
        self._configured: set[str] = set()

    def see(self, place: str, names: Sequence[str], below: Sequence[str]) -> None:
        """Takes a folder in."""
        if ".hydra" in below:
            self.runs.add(place)
        if "meta.yaml" in names and "metrics" in below:
            self.runs.add(place)
            self._stores.add(place)
        if _WANDB.fullmatch(os.path.basename(place)):
            self.runs.add(place)
            parent = os.path.dirname(place)
            self._wandb.setdefault(os.path.dirname(parent) if os.path.basename(parent) == "wandb" else parent, []).append(place)

        if "config.yaml" in names and self._is_of_wandb(place, names):
            self._configured.add(place)

    def kind(self, place: str, name: str) -> Literal["data", "environment"] | None:
        """What a file is, if it is a part of MLflow's store, or W&B's `config.yaml` (a name that others use as well)."""
        if name == "config.yaml" and place in self._configured:
            return "environment"
        store = self._store(place)
        return "data" if store is not None and (place != store or name == "meta.yaml") else None

    def without_noise(self, place: str, names: Sequence[str]) -> Sequence[str]:
        """Files that may be traces: W&B's own log (its latest is linked in `wandb/`), labels, MLflow's artifacts are none."""
        parent, folder = os.path.split(place)
        parts = place.split(os.sep)
        if "mlruns" in parts and "artifacts" in parts:
            return ()
        if "labels" in parts:
            names = [name for name in names if not name.endswith(".txt")]
        if folder == "wandb" or (folder == "logs" and parent in self.runs):
            names = [name for name in names if not name.startswith("debug")]
        return names

    def is_copy(self, place: str, name: str, owner: str) -> bool:
        """Whether a file is W&B's copy of what the owner's log holds."""
        if name != "output.log":
            return False
        parent, folder = os.path.split(place)
        return folder == "files" and parent in self.runs and owner not in (place, parent)

    def owner(self, place: str, logs_at: Set[str]) -> str | None:
        """The run that a folder of a tracker belongs to, if it is one's."""
        store = self._store(place)
        if store is not None:
            home = os.path.dirname(os.path.dirname(os.path.dirname(store)))
            return home if home in logs_at and self._stores_of(home) == 1 else store
        for home, runs in self._wandb.items():
            if len(runs) == 1 and home in logs_at and (place == runs[0] or place.startswith(f"{runs[0]}/")):
                return home
        return None

    def _is_of_wandb(self, place: str, names: Sequence[str]) -> bool:
        parent, folder = os.path.split(place)
        return (folder == "files" and parent in self.runs) or "wandb-metadata.json" in names or "wandb-summary.json" in names

    def _stores_of(self, home: str) -> int:
        """How many runs of a store two folders below (`mlruns/<experiment>/<run>`) there are."""
        return sum(os.path.dirname(os.path.dirname(os.path.dirname(store))) == home for store in self._stores)

    def _store(self, place: str) -> str | None:
        """The MLflow run that `place` is, or is the metrics or parameters of."""
        if not self._stores:
            return None
        below = ""
        while place not in self._stores:
            place, below = os.path.split(place)
            if not below:
                return None
        return place if not below or below in _STORE_FOLDERS else None
