"""Which rank a file's own lines say it is, and whether several files were written by one job: where names do not tell.

    slurm-8123456_3.out            a task of a job array (`%A_%a`), or a rank of one job (`srun --output=slurm-%j_%t.out`)
    none_k2x9/ and none_7wq1/      torchrun's folders of two nodes of one job, or of two jobs one after the other
    worker-<id>-01000000-7411.out  Ray: a process of job 01000000 with this pid, its rank only in somebody's lines

A file that speaks of one rank as its own is that rank's. Files that speak of the ranks that their numbers stand for belong
to one job; files that speak of the same rank do not. Where no rank is spoken of, SLURM's own lines may name the job (each
task of an array is a job of its own number); and a world as large as there are files, of which only one printed training, is
one job. Only the beginning and the end of a file are looked at.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from parsers.source import UnreadableError, head

EDGE: Final = 64 * 2**10
"""Bytes at either end of a file that are looked at."""

MAX_FILES: Final = 64
"""Files of a job that are asked whether they are one: of thousands the first ones say it all."""
ARRAY: Final = re.compile(r"(?P<job>(?:^|/)[^/]*?\d{4,12})_(?P<task>\d{1,6})(?=\.[a-z.]{1,12}$)")
"""A name that is a task of an array or a rank of one job: which, its lines decide."""
RAY: Final = re.compile(r"(?:^|/)worker-[0-9a-f]{20,}-(?P<job>\w{1,16})-(?P<pid>\d{1,9})\.(?:out|err)$")
_TORCHRUN: Final = re.compile(r"(?P<folder>.*?)(?P<rest>/attempt_\d+/\d{1,6}/[^/]+$)")
_CHILD: Final = re.compile(r"(?:^|/)attempt_\d+/\d{1,6}/[^/]+$")
_DRIVER: Final = re.compile(r"(?:^|/)job-driver-[\w.-]{1,80}\.log$")

_OWN: Final = re.compile(
    rb"^\[rank(\d{1,6})\]:|\[(?:PG [^\]\n]{0,80} |PG ID [^\]\n]{0,80} )?Rank (\d{1,6})\]"
    rb"|\b(?:RANK|SLURM_PROCID|GLOBAL_RANK|PMI_RANK|OMPI_COMM_WORLD_RANK)['\"]?[=:] ?['\"]?(\d{1,6})\b"
    rb"|\bglobal_rank[=:] ?(\d{1,6})\b"
    rb"|\[rank=(\d{1,6}), world_size=|Process rank: (\d{1,6}),|distributed init \(rank (\d{1,6})\)",
    re.MULTILINE,
)
_WORLD: Final = re.compile(
    rb"(?:world[_ ]size|WORLD_SIZE|SLURM_NTASKS|SLURM_NPROCS|num_processes)['\"]?\s?[=:]?\s?['\"]?(\d{1,6})\b"
    rb"|MEMBER: \d{1,6}/(\d{1,6})"
)
_JOB: Final = re.compile(rb"(?:SLURM_JOB_?ID['\"]?[=:] ?['\"]?|StepId=|\*\*\* (?:JOB|STEP) )(\d{3,12})(_\d{1,6})?\b")
_IN_ARRAY: Final = re.compile(rb"SLURM_ARRAY_(?:TASK|JOB)_ID['\"]?[=:] ?['\"]?\d")
_TRAINS: Final = re.compile(rb"(?i)\bloss['\"]?(?: is|\))?\s?[:=]?\s?-?(?:\d+\.\d|nan)")
_WORKER: Final = re.compile(rb"\(?ip=(?P<ip>[\w.:]{1,60}), pid=(?P<pid>\d{1,9})\) (?:world_)?rank=(?P<rank>\d{1,6}),")


@dataclass(frozen=True, slots=True)
class Told:
    """What one file says: the ranks that it calls its own, the sizes of the world, SLURM's jobs, whether it is an array's."""

    ranks: frozenset[int] = frozenset()
    worlds: frozenset[int] = frozenset()
    jobs: frozenset[str] = frozenset()
    is_array: bool = False
    trains: bool = False
    workers: tuple[tuple[str, int], ...] = ()
    """(process, rank) of Ray's workers, as their controller lists them."""

    def __or__(self, other: Told) -> Told:
        """What both say: of one process's two streams."""
        return Told(
            self.ranks | other.ranks, self.worlds | other.worlds, self.jobs | other.jobs, self.is_array or other.is_array,
            self.trains or other.trains, self.workers + other.workers,
        )  # fmt: skip

    @property
    def rank(self) -> int | None:
        """The only rank that the file speaks of as its own."""
        return _only(self.ranks)


def _only(ranks: frozenset[int]) -> int | None:
    return next(iter(ranks)) if len(ranks) == 1 else None


def is_open(path: str) -> bool:
    """Whether the name leaves it to the lines which rank wrote the file (a list of Ray's processes may hold the answer)."""
    return any(pattern.search(path) for pattern in (ARRAY, RAY, _CHILD, _DRIVER))


def told(path: str) -> Told:
    """What the two ends of a file say; nothing where it cannot be read."""
    text = _edges(path)
    return Told(
        frozenset(int(next(part for part in found if part)) for found in _OWN.findall(text)),
        frozenset(int(one or two) for one, two in _WORLD.findall(text)),
        frozenset(job.decode() for job, _ in _JOB.findall(text)),
        _IN_ARRAY.search(text) is not None or any(task for _, task in _JOB.findall(text)),
        _TRAINS.search(text) is not None,
        tuple((found["pid"].decode(), int(found["rank"])) for found in _WORKER.finditer(text)),
    )


def names_of_jobs(names: Mapping[str, str]) -> dict[str, str]:
    """The same names, such that what one job wrote differs only by `#`, and what two jobs wrote by more than a folder.

    `names` are of one folder's logs, path → name; only files are opened whose names leave it open.
    """
    found = dict(names)
    arrays: dict[str, list[str]] = {}
    for path in names:
        if task := ARRAY.search(path):
            arrays.setdefault(task["job"], []).append(path)
    for paths in arrays.values():
        if len(paths) > 1 and is_one_job(paths):
            found.update((path, ARRAY.sub(r"\g<job>_#", path)) for path in paths)
    folders: dict[str, list[str]] = {}
    for path in names:
        if at := _TORCHRUN.match(path):
            folders.setdefault(at["folder"], []).append(path)
    if len(folders) > 1 and are_several_jobs(list(folders.values())):
        found.update((path, _TORCHRUN.sub(r"\g<folder>/job\g<rest>", path)) for paths in folders.values() for path in paths)
    return found


def is_one_job(paths: Sequence[str]) -> bool:
    """Whether files `<job>_<number>.out` are the ranks of one job rather than the tasks of an array."""
    said: dict[int, Told] = {}
    for path in sorted(paths, key=_task)[:MAX_FILES]:
        one = told(path)
        known = said.get(_task(path))
        said[_task(path)] = one if known is None else known | one  # two streams of one process
    if len(said) < 2 or any(one.is_array for one in said.values()):
        return False
    numbers = {_task(path) for path in paths}
    worlds = {world for one in said.values() for world in one.worlds}
    world = next(iter(worlds)) if len(worlds) == 1 else 0
    ranked = {number: one.ranks for number, one in said.items() if one.ranks}
    if len(ranked) > 1:
        each = world // len(numbers) if world % len(numbers) == 0 else 0  # a file a node holds several ranks
        return any(
            all(rank // share == number for number, ranks in ranked.items() for rank in ranks) for share in {1, each} - {0}
        )
    jobs = [one.jobs for one in said.values() if one.jobs]
    if len(jobs) > 1 and numbers == set(range(len(numbers))):
        return all(job == jobs[0] for job in jobs)
    is_whole = numbers == set(range(world)) and len(numbers) == len(said)
    return is_whole and sum(one.trains for one in said.values()) == 1


def are_several_jobs(folders: Sequence[Iterable[str]]) -> bool:
    """Whether torchrun's folders are of one job after the other: the first children of all speak of the same rank."""
    ranks = _first_ranks(folders)
    return len(ranks) > 1 and bool(frozenset.intersection(*ranks))


def are_nodes(folders: Sequence[Iterable[str]]) -> bool:
    """Whether torchrun's folders are of the nodes of one job: the first children speak of ranks, and of different ones."""
    ranks = _first_ranks(folders)
    return len(ranks) > 1 and all(ranks) and sum(map(len, ranks)) == len(frozenset.union(*ranks))


def _first_ranks(folders: Sequence[Iterable[str]]) -> list[frozenset[int]]:
    """The ranks that the first child of each folder speaks of as its own."""
    files = ([path for path in paths if "/attempt_0/0/" in path] for paths in folders[:MAX_FILES])
    return [frozenset(rank for path in paths for rank in told(path).ranks) for paths in files]


def _task(path: str) -> int:
    found = ARRAY.search(path)
    return int(found["task"]) if found else -1


def ranks_told(paths: Sequence[str]) -> dict[str, int]:
    """path → rank, of files whose names leave it open: each by its own lines, or by a list of processes in another's.

    A rank that two files of different processes call theirs is nobody's.
    """
    said = {path: told(path) for path in paths}
    processes: dict[str, set[int]] = {}
    for one in said.values():
        for pid, rank in one.workers:
            processes.setdefault(pid, set()).add(rank)
    found: dict[str, int] = {}
    for path, one in said.items():
        ray = RAY.search(path)
        listed = frozenset(processes.get(ray["pid"], ()) if ray else ())
        own = one.rank if one.rank is not None else _only(listed)
        if own is not None:
            found[path] = own
    writers: dict[int, set[str]] = {}
    for path, rank in found.items():
        writers.setdefault(rank, set()).add(re.sub(r"attempt_\d+", "", _writer(path)))
    return _with_both_streams({path: rank for path, rank in found.items() if len(writers[rank]) == 1}, paths)


def _with_both_streams(found: dict[str, int], paths: Sequence[str]) -> dict[str, int]:
    """The same rank for what the same process wrote to its other stream."""
    by_writer = {_writer(path): rank for path, rank in found.items()}
    return {path: by_writer[_writer(path)] for path in paths if _writer(path) in by_writer}


def _writer(path: str) -> str:
    return re.sub(r"\b(?:stdout|stderr|out|err)\b", "", path)


def _edges(path: str) -> bytes:
    """The first and the last bytes of a file."""
    try:
        first = head(path, EDGE)
        size = os.path.getsize(path)
        if len(first) < EDGE or size <= EDGE or path.endswith((".gz", ".zst", ".xz", ".bz2")):
            return first
        with open(path, "rb") as file:
            file.seek(max(EDGE, size - EDGE))
            return first + b"\n" + file.read(EDGE)
    except (OSError, UnreadableError):
        return b""
