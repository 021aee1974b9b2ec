"""What a batch is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analyzer.diagnosis import Options
    from parsers.discover import RunFiles


@dataclass(frozen=True, slots=True)
class Extras:
    """What only a batch can be asked for."""

    parquet: str = ""
    junit: Path | None = None
    sarif: Path | None = None
    html: str = ""
    output: str = ""
    cache: str = ""
    resume: bool = True
    engine: str = "local"
    address: str = ""
    timeout: float = 0.0
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    since: str = ""
    follow: bool = False
    code_quality: Path | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """What to scan and where the results go."""

    runs: tuple[RunFiles, ...]
    form: str
    output: Path | None
    html: Path | None
    fail_on: str
    options: Options
    redact: bool
    lang: str
    jobs: int
    extras: Extras = field(default_factory=Extras)
