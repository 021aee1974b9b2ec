"""Messages without end: the first are read whole, of the others each wording, and the last ones of the file."""

from __future__ import annotations

from pathlib import Path

from parsers import kinds, read
from parsers.sated import ENOUGH, KEPT

WARN = "node1:{0}:{0} [1] NCCL WARN Call to connect returned Connection refused, retry {0}\n"
KILLED = "run.sh: line 1:  {0} Killed                  python3 train.py --seed {0}\n"


def events(path: Path, kind: str) -> list[int]:
    return [event.ref.line for event in read([path]).events if event.kind == kind]


def test_the_last_message_of_a_flood_is_read(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    lines = ENOUGH + 5 * KEPT
    log.write_text("".join(KILLED.format(i) for i in range(lines)))
    found = events(log, kinds.SIGNAL)
    assert found[0] == 1 and found[-1] == lines
    said = [problem.reason for problem in read([log]).problems if problem.reader == "signals"]
    assert said == [f"messages without end: {4 * KEPT - 1} lines that differ in numbers alone were passed over."]


def test_another_wording_behind_a_flood_is_read_where_it_stands(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    flood = [KILLED.format(i) for i in range(ENOUGH + 500)]
    other = "/tmp/job.sh: line 9: 4711 Segmentation fault      python3 other.py\n"
    log.write_text("".join([*flood, other, *flood[:50]]))
    assert {event.data["signal"] for event in read([log]).events if event.kind == kinds.SIGNAL} >= {"SIGKILL", "SIGSEGV"}


def test_what_is_no_flood_says_nothing_of_it(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    log.write_text("".join(WARN.format(i) for i in range(1000)))
    assert not read([log]).problems
