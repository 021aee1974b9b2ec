"""Paths → runs: which files belong together, and how many runs a tree holds. Decides by names, and opens a file only where
a name leaves open whether it is a rank's or a run's (`told_ranks`).

A run is a directory that holds a log, an event file or a Trainer's state; folders that frameworks put below a run
(`checkpoint-500`, `runs/<stamp>_<host>`, `train/` and `validation/`, `out/`) belong to the run above. Several logs in
one folder are one run where their names differ only by rank, rotation or stream, and one run each otherwise.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

from parsers import event_folders
from parsers.ranks import natural, without_ranks
from parsers.rotation import oldest_first, with_pieces
from parsers.source import STDIN, UnreadableError
from parsers.told_ranks import RAY, are_nodes, names_of_jobs
from parsers.trackers import Marked
from parsers.tree import Choice, Folder, listed, walk

Kind = Literal["log", "events", "state", "data", "environment", "dump"]

MAX_FILES_PER_RUN: Final = 20_000
_COMPRESSED: Final = (".gz", ".zst", ".xz", ".bz2")
_LOG_SUFFIXES: Final = frozenset({".log", ".txt", ".out", ".err", ".stdout", ".stderr", ".o", ".e"})
_LOG_NAMES: Final = frozenset({"log", "stdout", "stderr", "nohup.out", "console", "output", "workerlog"})
_DATA_NAMES: Final = re.compile(
    r"(metrics|results|trainer_log|logging|progress|log|train_results|eval_results|all_results|wandb-summary)\.(csv|jsonl|json|tsv)"
    r"|run-[\w-]+\.wandb|mlflow\.db|Train_.*\.csv|.*_metrics\.csv"
)
_ENVIRONMENT_NAMES: Final = re.compile(
    r"(ds_?config|deepspeed_?config|zero[_-]?[0-3]\w*|ds_z[0-3]\w*)[\w.-]*\.json|requirements[\w.-]*\.txt|(pip[_-])?freeze[\w.-]*\.txt"
    r"|env(ironment)?\.txt|(poetry|uv|pdm|Pipfile)\.lock|(conda[\w-]*|env(ironment)?[\w-]*)\.ya?ml|ds_report[\w.-]*|collect_env[\w.-]*|conda[_-]list[\w.-]*|wandb-metadata\.json|training_args[\w.-]*\.(json|bin)"
    r"|([Nn]otes?|NOTES?|[Rr]emarks?)(\.(md|txt))?"
)
_DUMP_NAMES: Final = re.compile(
    r"(\w*trace_rank_?|\w*(nccl|comm_lib|c10d|hccl|flight_?recorder)\w*_|fr_(rank_?)?|rank_)\d{1,6}(\.(json|pkl|pickle|bin))?"
)
"""Flight recorder dumps: they belong to the one run that they lie beside."""
_BELOW_A_RUN: Final = re.compile(
    r"checkpoint[-_]\d+|global_step_?\d+|epoch[-_=]\d+.*|step[-_=]?\d+|train|train_inner|training|validation|valid\d*|val|eval|test"
    r"|attempt_\d+|\d{1,4}|rank[-_.]?\d+|files|tmp|wandb|comm_traces|pretrained|vis_data"
)
_HF_STAMP: Final = re.compile(r"[A-Z][a-z]{2}\d\d_\d\d-\d\d-\d\d_.+")
_OUTPUT_FOLDERS: Final = re.compile(
    r"outputs?|out|results?|events?|(ds_|lightning_)?logs?|runs|(ds_)?tb(_\w+)?|csv(_\w+)?|monitor|.*tensorboard.*", re.IGNORECASE
)
_RAY: Final = re.compile(r"raylet\.(out|err)|gcs_server\.(out|err)")
_NO_JOB: Final = "ffffffff"
"""Ray's name of no job: of a process that waits for work."""
_NONE: Final[Mapping[str, str]] = {}
_DATE: Final = re.compile(r"[.-]20\d\d-?[01]\d-?[0-3]\d(?:[-_T]?\d\d(?:[-_:]?\d\d){0,2})?$")
"""What logrotate and Python's logging put behind the name of a rotated log."""
_NODE: Final = re.compile(r"(node|host|worker|machine)[-_.]?\d+", re.IGNORECASE)
_RANK: Final = re.compile(
    r"(rank|node|worker|proc|local_rank|gpu|host|task)[-_.]?\d+|\.\d+$|[-_.](stdout|stderr|out|err)\b|(?<=\W)\d{1,4}(?=\W)"
)


@dataclass(frozen=True, slots=True)
class RunFiles:
    """The files of one run: `root` names it (its folder, or its only log).

    `marks`: what tells of each file of another file system that it changed (size, ETag), where that was listed.
    """

    root: str
    files: tuple[str, ...]
    marks: tuple[str, ...] = ()


@dataclass(slots=True)
class _Group:
    """What was found at (or below, if it belongs there) one folder."""

    logs: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    environment: list[str] = field(default_factory=list)
    dumps: list[str] = field(default_factory=list)

    def add(self, kind: Kind, path: str) -> None:
        """Files a path under its kind."""
        {"log": self.logs, "environment": self.environment, "dump": self.dumps}.get(kind, self.others).append(path)

    def take(self, other: _Group) -> None:
        """Adds all that another group holds."""
        self.logs += other.logs
        self.others += other.others
        self.environment += other.environment
        self.dumps += other.dumps


def find_runs(paths: Sequence[str | Path], choice: Choice | None = None) -> Iterator[RunFiles]:
    """The runs that these files and directories hold, by path. Raises UnreadableError for a path that is not there."""
    files: list[str] = []
    for path in map(str, paths):
        if path != STDIN and Path(path).is_dir():
            yield from runs_below(path, choice)
        elif path != STDIN and not os.path.lexists(path):
            raise UnreadableError(f"{path} does not exist: check the path.")
        else:
            files.append(path)
    if len(files) == 1:
        yield RunFiles(files[0], (*with_pieces(files[0]), *companions(files[0])))
    elif files:
        yield from _runs_of(os.path.commonpath([str(Path(f).parent) for f in files]), _grouped(files))


def companions(log: str) -> tuple[str, ...]:
    """Files about the environment beside a log (ds_config.json, requirements.txt) if it is the only log of its folder."""
    if log == STDIN:
        return ()
    folder = Path(log).parent
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.is_file())
    except OSError:
        return ()
    kinds = {name: kind_of(name) for name in names}
    own = {Path(path).name for path in with_pieces(log)}
    if any(kind in ("log", "events", "state", "data") for name, kind in kinds.items() if name not in own):
        return ()
    beside = [name for name, kind in kinds.items() if kind in ("environment", "dump") and name != Path(log).name]
    return tuple(str(folder / name) for name in beside)


def runs_below(folder: str, choice: Choice | None = None) -> Iterator[RunFiles]:
    """The runs in a directory tree, ordered by path. Links are not followed, hidden and library folders are skipped."""
    folder = folder.rstrip("/") or "/"
    yield from _runs_in(folder, walk(folder, choice or Choice()))


def runs_among(
    folder: str, paths: Sequence[str], choice: Choice | None = None, content_of: Callable[[str], bytes] = lambda _: b""
) -> Iterator[RunFiles]:
    """The runs among the files below a folder of another file system; `content_of`: how a small file of it is read."""
    yield from _runs_in(folder, listed(folder, paths, choice, content_of))


def _runs_in(folder: str, folders: Iterable[Folder]) -> Iterator[RunFiles]:
    groups: dict[str, _Group] = {}
    found: list[tuple[str, list[tuple[str, Kind]]]] = []
    logs_at: set[str] = set()
    events_at: dict[str, list[str]] = {}
    own = Marked()
    for place, names, below in folders:
        own.see(place, names, below)
        traces = own.without_noise(place, names)
        kinds = [(name, kind) for name in traces if (kind := own.kind(place, name) or kind_of(name))]
        if any(kind in ("log", "state") for _, kind in kinds):
            logs_at.update((place, _owner(place, folder, frozenset(), alone=own.runs), *_nodes(place)))
        if kinds:
            found.append((place, kinds))
        if events := [name for name, kind in kinds if kind == "events"]:
            events_at[place] = events
    parts = event_folders.parts(events_at)
    alone = event_folders.crowds(events_at, folder, lambda parent, name: _is_run_in_a_crowd(parent, name, logs_at))
    alone = {*alone, *own.runs}
    for place, kinds in found:
        owner = own.owner(place, logs_at) or _owner(place, folder, logs_at, parts, alone)
        for name, kind in kinds:
            if own.is_copy(place, name, owner):
                continue
            groups.setdefault(owner, _Group()).add(kind, os.path.join(place, name))
    _join_nodes(groups)
    for root in sorted(groups):
        yield from _runs_of(root, groups[root])


def _join_nodes(groups: dict[str, _Group]) -> None:
    """Puts torchrun's folders of the nodes of one job (`none_k2x9`, `none_7wq1` in one `--log-dir`) together, in place."""
    beside: dict[tuple[str, str], list[str]] = {}
    for root, group in groups.items():
        parent, name = os.path.split(root)
        if "_" in name and parent and any("/attempt_0/" in log.removeprefix(root) for log in group.logs[:1]):
            beside.setdefault((parent, name.rpartition("_")[0]), []).append(root)
    for (parent, _), roots in beside.items():
        if len(roots) > 1 and are_nodes([groups[root].logs for root in sorted(roots)]):
            for root in sorted(roots):
                groups.setdefault(parent, _Group()).take(groups.pop(root))


@lru_cache(maxsize=2**14)
def kind_of(name: str) -> Kind | None:
    """What a file's name says it is; None for everything that is no trace of a run."""
    if ".fixed." in name:  # what `--fix-dir` wrote
        return None
    bare = name
    for suffix in _COMPRESSED:
        bare = bare.removesuffix(suffix)
    if "tfevents" in name and not name.endswith(".profile-empty"):
        return "events"
    if bare == "trainer_state.json":
        return "state"
    if _ENVIRONMENT_NAMES.fullmatch(bare):
        return "environment"
    if _DATA_NAMES.fullmatch(bare):
        return "data"
    if _DUMP_NAMES.fullmatch(bare):
        return "dump"
    stem = re.sub(r"\.\d+$", "", _DATE.sub("", bare))
    if Path(stem).suffix.lower() in _LOG_SUFFIXES or stem.lower() in _LOG_NAMES or re.fullmatch(r"slurm-\d+.*", stem):
        return "log"
    return None


def _owner(place: str, top: str, logs_at: Set[str], parts: Mapping[str, str] = _NONE, alone: Set[str] = frozenset()) -> str:
    """The folder of the run that `place` belongs to: climbs out of what frameworks put below a run.

    `parts`: folders of event files and the folder that each is a part of; `alone`: folders that are runs of their own.
    """
    while place != top:
        parent, name = os.path.split(place)
        if place in parts:
            place = parts[place]
        elif place not in alone and (
            _BELOW_A_RUN.fullmatch(name)
            or _is_of_a_node(place, logs_at)
            or (_HF_STAMP.fullmatch(name) and os.path.basename(parent) == "runs")
            or (_OUTPUT_FOLDERS.fullmatch(name) and parent in logs_at)
            or (_is_output_of_a_run(parent, logs_at) and place not in logs_at)
            or (name == "runs" and parent != top)
        ):
            place = parent
        else:
            break
    return place


def _nodes(place: str) -> Iterator[str]:
    """For a folder of one of torchrun's children on a node of several: its attempt, and the node's folder with a slash."""
    if "attempt_" not in place:
        return
    attempt = os.path.dirname(place)
    node = os.path.dirname(os.path.dirname(attempt))
    if re.fullmatch(r"attempt_\d+", os.path.basename(attempt)) and _NODE.fullmatch(os.path.basename(node)):
        yield from (f"{os.path.dirname(attempt)}/attempt_0", f"{node}/")


def _is_of_a_node(place: str, logs_at: Set[str]) -> bool:
    """Whether `place` is torchrun's folder of one node (`node-3/none_k2x9/attempt_0`), or that node's folder itself."""
    if not logs_at:
        return False
    parent, name = os.path.split(place)
    if _NODE.fullmatch(os.path.basename(parent)):
        return f"{place}/attempt_0" in logs_at
    return bool(_NODE.fullmatch(name)) and f"{place}/" in logs_at


def _is_run_in_a_crowd(parent: str, name: str, logs_at: Set[str]) -> bool:
    """Whether a folder of event files is a run if it has its like beside it: a job array's number, a time, a run's name.

    Times below `runs` are restarts of one run where the folder above holds its log or state.
    """
    if _HF_STAMP.fullmatch(name):
        return os.path.dirname(parent) not in logs_at
    if re.fullmatch(r"\d{1,4}", name):
        return f"{parent}/{name}" not in logs_at and not re.fullmatch(r"attempt_\d+", os.path.basename(parent))
    is_part = _BELOW_A_RUN.fullmatch(name) or _OUTPUT_FOLDERS.fullmatch(name)
    return not is_part and _is_output_of_a_run(parent, logs_at)


def _is_output_of_a_run(place: str, logs_at: Set[str]) -> bool:
    """Whether `place` is an output folder of a folder that holds a log (`csv_ds/<job name>` of the DeepSpeed monitor)."""
    return bool(_OUTPUT_FOLDERS.fullmatch(os.path.basename(place))) and os.path.dirname(place) in logs_at


def _grouped(files: Sequence[str]) -> _Group:
    group = _Group()
    for path in files:
        group.add(kind_of(os.path.basename(path)) or "log", path)
    return group


def _runs_of(root: str, group: _Group) -> Iterator[RunFiles]:
    """One run, or one run a log where the logs are not parts of each other."""
    others = _longest_states(group.others)
    by_stem = {"": group.logs} if len(group.logs) == 1 else _by_job(group.logs) or _by_stem(group.logs, root)
    if len(by_stem) <= 1:
        files = (*next(iter(by_stem.values()), ()), *others, *group.environment, *sorted(group.dumps, key=natural))
        if group.logs or others:
            yield RunFiles(root, files[:MAX_FILES_PER_RUN])
        return
    are_several = sum(len(logs) > 1 for logs in by_stem.values()) > 1
    for stem in sorted(by_stem):
        logs = by_stem[stem]
        yield RunFiles(logs[0] if len(logs) == 1 or are_several else root, (*logs, *group.environment)[:MAX_FILES_PER_RUN])
    if others:
        yield RunFiles(root, (*others, *group.environment))


def _by_stem(logs: Sequence[str], root: str) -> dict[str, list[str]]:
    """The logs that are parts of each other, under what their names have in common."""
    found: dict[str, list[str]] = {}
    names = names_of_jobs(without_ranks(logs))
    for log in oldest_first(sorted(logs, key=natural)):
        found.setdefault(_stem(names[log], root), []).append(log)
    return found


def _by_job(logs: Sequence[str]) -> dict[str, list[str]]:
    """The logs of a Ray session by job, what its own processes wrote with each; {} where it is none."""
    jobs = {log: found["job"] if (found := RAY.search(log)) else "" for log in logs}
    if not any(job or _RAY.fullmatch(os.path.basename(log)) for log, job in jobs.items()):
        return {}
    several = sorted({job for job in jobs.values() if job not in ("", _NO_JOB)}) or [""]
    order = sorted(logs, key=natural)
    return {job: [log for log in order if jobs[log] in (job, "", _NO_JOB)] for job in several}


def _stem(path: str, root: str) -> str:
    """A log's path below its run without rank, rotation, stream and compression."""
    name = os.path.relpath(path, root)
    name = re.sub(r"[^/]*(?=/attempt_\d)|attempt_\d+", "", name)
    for suffix in _COMPRESSED:
        name = name.removesuffix(suffix)
    name = _DATE.sub("", name) if re.search(r"\.(log|txt|out|err)[.-]20\d\d", name) else name
    name = re.sub(r"\.(log|txt|out|err|o|e)(?=$|\.\d+$)", "", name)
    return re.sub(r"\b(stdout|stderr|out|err)\b", "", _RANK.sub("", _RANK.sub("", name))).strip("._-/")


def _longest_states(paths: Sequence[str]) -> list[str]:
    """All paths but the Trainer states that a later checkpoint repeats: the last one holds the whole history."""
    states = [path for path in paths if os.path.basename(path) == "trainer_state.json"]
    if len(states) <= 1:
        return list(paths)

    def rank(path: str) -> tuple[int, int]:
        found = re.search(r"checkpoint[-_](\d+)", path)
        return (0, int(found[1])) if found else (1, 0)

    keep = max(states, key=rank)
    return [path for path in paths if path == keep or path not in states]
