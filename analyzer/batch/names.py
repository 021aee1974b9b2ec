"""Names of files that a scan makes: a run's page, a place below a folder."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def page_name(root: str, lang: str, redact: bool) -> str:
    """The file name of a run's page: the same for the same run, whatever else is in the batch."""
    words = "".join(char if char.isalnum() or char in "-_." else "-" for char in Path(root).name or "run").strip(".-")
    mark = hashlib.sha256(f"{root}\0{lang}\0{redact}".encode("utf-8", "surrogateescape")).hexdigest()[:10]
    return f"{words[:60] or 'run'}-{mark}.html"


def inside(folder: str, name: str) -> str:
    """A path below a folder for a name that came from elsewhere; what would lead out of it is flattened."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    return os.path.join(folder, *(parts or ["file"]))
