"""Which rank wrote a file, as far as its path says it, and what is left of a name without it.

    logs/none_k2x9/attempt_0/17/stderr.log      torchrun --log-dir: <log dir>/<rendezvous>/attempt_<restart>/<local rank>/
    rank_17.log   log_rank_00017.txt   rank.17/stdout (mpirun --output-filename)   workerlog.17 (Paddle)
    logs/8123456/17.out   train-8123456-17.out  SLURM: srun --output=%j/%t.out, %x-%j-%t.out
    proc-17.err   task17.out

The last two only count where a run has files 0 to N−1: a number behind a job's may be anything.
torchrun's folders are *local* ranks: where several nodes wrote into one tree the same number comes twice, and then it says
nothing. `slurm-8123456_17.out` is a task of a job array, a run of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

SUFFIX: Final = re.compile(r"\.(?:log|txt|out|err|o|e|stdout|stderr)(?=$|\.\d+$|\.(?:gz|zst|xz|bz2)$)")
_COMPRESSED: Final = re.compile(r"\.(?:gz|zst|xz|bz2)$")
_NAMED: Final = re.compile(r"(?:^|[^a-zA-Z])(?:rank|workerlog)[-_.=]?(\d{1,6})(?![\da-zA-Z])(?=[^/]*$|/[^/]*$)", re.IGNORECASE)
"""In a file's name, or at the end of its folder's: `a_rank1_fails/run.log` is a run about a rank, not a rank's file."""
_TORCHRUN: Final = re.compile(r"(?:^|/)attempt_\d+/(\d{1,6})/[^/]+$")
_BARE: Final = (
    re.compile(r"(?:^|[^a-zA-Z])(?:proc|process|task)[-_.=]?(\d{1,6})$", re.IGNORECASE),
    re.compile(r"(?:^|[-._/])\d{5,12}[-./](\d{1,6})$"),
)
_ATTEMPT: Final = re.compile(r"(?:^|/)attempt_(\d{1,6})(?=/)")
_STREAM: Final = re.compile(r"\b(?:stdout|stderr|out|err)\b|attempt_\d+")
_LONGEST: Final = 1000
"""Characters at the end of a path that are looked at."""


def ranks_of(paths: Iterable[str]) -> dict[str, int]:
    """path → rank of the files of one run. Empty where a number stands for several writers (local ranks of several nodes)."""
    found: dict[str, int] = {}
    writers: dict[tuple[int, str], str] = {}
    several = list(paths)
    if not any(_certain(path) or _bare(path) for path in several):
        return {}
    names = without_ranks(several)
    for path in several:
        spot = _certain(path) or (_bare(path) if names[path] != path else None)
        if spot:
            rank = found[path] = int(path[spot[0] : spot[1]])
            place, _, name = _STREAM.sub("", SUFFIX.sub("", names[path])).rpartition("/")
            if writers.setdefault((rank, name), place) != place:
                return {}
    return found


def without_ranks(paths: Iterable[str]) -> dict[str, str]:
    """path → the path with its rank replaced by `#`, unchanged where it names none."""
    found: dict[str, str] = {}
    bare: dict[str, dict[str, int]] = {}
    for path in paths:
        spot = _certain(path)
        found[path] = path if spot is None else f"{path[: spot[0]]}#{path[spot[1] :]}"
        if spot is None and (spot := _bare(path)):
            bare.setdefault(f"{path[: spot[0]]}#{path[spot[1] :]}", {})[path] = int(path[spot[0] : spot[1]])
    for name, numbers in bare.items():
        if len(numbers) > 1 and set(numbers.values()) == set(range(len(numbers))):
            found.update(dict.fromkeys(numbers, name))
    return found


def attempt_of(path: str) -> int:
    """How often torchrun had restarted its children when it made this file: 0 where the path does not say."""
    found = _ATTEMPT.search(path)
    return int(found[1]) if found else 0


def natural(path: str) -> tuple[tuple[int, int, str], ...]:
    """A key that sorts `rank_2` before `rank_10`."""
    return tuple((1, int(part), "") if part.isdecimal() else (0, 0, part) for part in re.split(r"([0-9]{1,18})", path) if part)


@lru_cache(maxsize=2**12)
def _certain(path: str) -> tuple[int, int] | None:
    """Where the rank stands that a path names for sure."""
    shift = max(0, len(path) - _LONGEST)
    text = path[shift:]
    named = [found.span(1) for found in _NAMED.finditer(text)]
    torchrun = _TORCHRUN.search(text)
    spot = named[-1] if named else torchrun.span(1) if torchrun else None
    return (spot[0] + shift, spot[1] + shift) if spot else None


@lru_cache(maxsize=2**12)
def _bare(path: str) -> tuple[int, int] | None:
    """Where the number at the end of a name stands that may be a rank."""
    shift = max(0, len(path) - _LONGEST)
    text = SUFFIX.sub("", _COMPRESSED.sub("", path))[shift:]
    if not text.rstrip("\n")[-1:].isdigit():
        return None
    found = next((found for pattern in _BARE if (found := pattern.search(text))), None)
    return (found.start(1) + shift, found.end(1) + shift) if found else None
