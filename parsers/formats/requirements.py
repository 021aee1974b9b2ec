"""Lists of installed packages as files of their own: `pip freeze`, `requirements.txt`, `conda list`, W&B's requirements.

    torch==2.1.2+cu121
    flash-attn @ https://…/flash_attn-2.5.6+cu122torch2.1cxx11abiFALSE-cp310-cp310-linux_x86_64.whl
    pytorch                   2.1.2           py3.10_cuda12.1_cudnn8.9.2_0    pytorch          conda list

Only exact versions are facts; a range says what somebody allowed, not what ran. The file stands beside the log, so it
counts less than what the process printed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from parsers import packages
from parsers.model import Record, SourceRef
from parsers.registry import file_reader

_NAMES = ("requirement", "freeze", "env", "conda", "pip", "packages", "constraints")
MIN_SHARE = 0.6
"""Share of lines that must pin a package before a text file is taken for such a list rather than for a log."""


def _matches(path: Path, first: bytes) -> bool:
    if path.suffix not in (".txt", ".lock", ".list", "") or not path.stem.lower().startswith(_NAMES):
        return False
    lines = [line.strip() for line in first.decode("utf-8", "replace").splitlines()[:60]]
    lines = [line for line in lines[:-1] or lines if line and line[0] not in "#-@"]
    return bool(lines) and sum(packages.pinned(line) is not None for line in lines) >= MIN_SHARE * len(lines)


@file_reader(
    "requirements",
    title="Package lists as files (pip freeze, requirements.txt, conda list)",
    example="torch==2.1.2+cu121",
    matches=_matches,
)
def read(path: Path) -> Iterator[Record]:
    """A `package:` fact for each line that pins one."""
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            pin = packages.pinned(line)
            if pin:
                yield from packages.facts(*pin, SourceRef(str(path), number, line.strip()[:300]), 1)
