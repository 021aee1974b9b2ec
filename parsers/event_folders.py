"""Which folders of event files are parts of the run above them, as far as the names of files and folders say it.

    runs/a/events.out.tfevents.1795495593.vm.10691.2             torch's SummaryWriter: <seconds>.<host>.<process>.<n>
    runs/a/Loss_train/events.out.tfevents.1795495593.vm.10691.3  its add_scalars("Loss", {"train": …}): a writer a curve
    runs/a/1795495596.15/events.out.tfevents.1795495596.vm.10691.10   its add_hparams: a folder named by the time
    runs/b/events.out.tfevents.1795495596.vm                     tensorboardX: <seconds>.<host>, no process
    runs/b/Loss/train/events.out.tfevents.1795495596.vm          its add_scalars: a folder for the tag, one for the curve

The program that wrote the run wrote its parts: they come from the same process, or, where names do not tell it, from the
same host and into folders that look like parts. Folders beside each other, none of which holds the other, are runs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Mapping
from typing import Final

_NAME: Final = re.compile(r".*tfevents\.(\d{9,11})\.(.+?)(?:\.(\d+)\.(\d+))?(?:\.v2)?")
_TIME: Final = re.compile(r"\d{9,11}\.\d+(\.\d+)?")
_PART: Final = re.compile(r"(loss|lr|learning_rate|acc\w*)_\w+|eval_\w+", re.IGNORECASE)


def parts(names_at: Mapping[str, Collection[str]]) -> dict[str, str]:
    """folder → the folder of the run that it is a part of. `names_at`: the event files of each folder that holds any."""
    found: dict[str, str] = {}
    for place, names in names_at.items():
        above = _above(place, names_at)
        if above is not None and _is_part(place, names, above, names_at[above]):
            found[place] = above
    return found


def _above(place: str, names_at: Mapping[str, Collection[str]]) -> str | None:
    """The nearest folder above that holds event files."""
    while (parent := os.path.dirname(place)) != place:
        if parent in names_at:
            return parent
        place = parent
    return None


def _is_part(place: str, names: Collection[str], above: str, names_above: Collection[str]) -> bool:
    if _writers(names) & _writers(names_above):
        return True
    name, depth = os.path.basename(place), place.count(os.sep) - above.count(os.sep)
    if depth == 1:
        return bool(_TIME.fullmatch(name) or _PART.fullmatch(name))
    return bool(_hosts(names) & _hosts(names_above))


def _writers(names: Collection[str]) -> set[tuple[str, str]]:
    """(host, process) of the files whose names hold both."""
    return {(match[2], match[3]) for name in names if (match := _NAME.fullmatch(name)) and match[3]}


def _hosts(names: Collection[str]) -> set[str]:
    """Hosts of the files whose names hold no process."""
    return {match[2] for name in names if (match := _NAME.fullmatch(name)) and not match[3]}


def crowds(names_at: Mapping[str, Collection[str]], top: str, is_run: Callable[[str, str], bool]) -> set[str]:
    """Folders below `top` that lead to event files and stand beside others like them.

    `is_run(parent, name)`: whether a folder of this name holds a run if it is not the only one of its parent.
    """
    beside: dict[str, set[str]] = {}
    for place in names_at:
        while place not in (top, os.path.dirname(place)):
            parent, name = os.path.split(place)
            if is_run(parent, name):
                beside.setdefault(parent, set()).add(place)
            place = parent
    return {place for places in beside.values() if len(places) > 1 for place in places}
