"""Literal failure texts in their true format, and what the tool says of them: shared by the tests of readers and rules."""

from __future__ import annotations

from pathlib import Path

from analyzer.diagnosis import diagnose
from analyzer.model import Diagnosis
from parsers import Event, Run, read

STEPS = "".join(f"{{'loss': {4.2 - i / 10}, 'grad_norm': 0.75, 'learning_rate': 0.0005, 'epoch': 0.{i}}}\n" for i in range(1, 5))
MORE = "".join(f"{{'loss': {3.8 - i / 10}, 'grad_norm': 0.74, 'learning_rate': 0.0004, 'epoch': 0.{i}}}\n" for i in range(5, 9))
END = "{'train_runtime': 12.5, 'train_samples_per_second': 51.2, 'train_loss': 3.9, 'epoch': 0.8}\n"
PEER = "RuntimeError: [/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:17300"


def stack(exception: str, prefix: str = "", file: str = "/home/user/train.py", line: int = 111) -> str:
    """A whole traceback of three lines."""
    rows = ("Traceback (most recent call last):", f'  File "{file}", line {line}, in main', exception)
    return "".join(f"{prefix}{row}\n" for row in rows)


def child_failed(root: tuple[int, int, int], others: tuple[tuple[int, int, int], ...] = ()) -> str:
    """torchrun's block; entries are (rank, exit code, pid)."""
    entry = "[{i}]:\n  time      : 2026-11-24_02:43:56\n  host      : localhost\n  rank      : {r} (local_rank: {r})\n  exitcode  : {c} (pid: {p}) \n  error_file: <N/A>\n"
    rows = "".join(entry.format(i=i + 1, r=r, c=c, p=p) for i, (r, c, p) in enumerate(others)) or "  <NO_OTHER_FAILURES>\n"
    return (
        "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: \n" + "=" * 60 + "\ntrain.py FAILED\n" + "-" * 60
        + "\nFailures:\n" + rows + "-" * 60 + "\nRoot Cause (first observed failure):\n"
        + entry.format(i=0, r=root[0], c=root[1], p=root[2]) + "=" * 60 + "\n"
    )  # fmt: skip


def run_of(folder: Path, text: str, name: str = "run.log") -> Run:
    """The run that this text makes, read from a file as a user's is."""
    path = folder / name
    path.write_text(text, "utf-8")
    return read([path], strict=True)


def events_of(folder: Path, text: str, *kinds: str) -> tuple[Event, ...]:
    """Its events of these kinds."""
    return run_of(folder, text).events_of(*kinds)


def diagnosis_of(folder: Path, text: str, name: str = "run.log") -> Diagnosis:
    """What `analyze` says of it; failures of ours raise."""
    path = folder / name
    path.write_text(text, "utf-8")
    found = diagnose(path)
    assert not found.failures
    return found


def rules_of(found: Diagnosis) -> dict[str, str]:
    """rule → severity of its worst finding."""
    return {finding.rule: finding.severity for finding in reversed(found.findings)}
