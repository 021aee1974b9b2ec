"""A batch as Parquet: runs, findings, causes and metrics, four tables that join on `run` (docs/how-to/batch.md).

Rows are written in parts of bounded size while the scan goes on, and put together at its end.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from analyzer.batch.card import Card
from analyzer.errors import UsageError

if TYPE_CHECKING:
    import polars as pl

    from analyzer.batch.body import Samples

PART: Final = 200_000
"""Rows of a table that are held in memory."""
TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    "runs": {
        "run": "String", "verdict": "String", "outcome": "String", "last_step": "Int64", "planned_steps": "Int64",
        "first_rule": "String", "first_cause": "String", "cause_verdict": "String", "begin": "Float64", "end": "Float64",
        "settings": "String", "error": "String",
    },
    "findings": {
        "run": "String", "rule": "String", "severity": "String", "confidence": "String", "summary": "String",
        "first_step": "Int64", "last_step": "Int64", "file": "String", "line": "Int64", "text": "String",
    },
    "causes": {"run": "String", "place": "Int64", "cause": "String", "title": "String", "verdict": "String", "score": "Float64"},
    "metrics": {"run": "String", "metric": "String", "step": "Int64", "value": "Float64", "line": "Int64"},
}  # fmt: skip
"""Table → column → polars type."""


class Tables:
    """Collects rows and writes them. `target`: a folder, or `x.parquet` for the findings with the others beside it."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._folder = target.parent if target.suffix == ".parquet" else target
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._parts = tempfile.TemporaryDirectory(prefix=".parquet-", dir=self._folder)
        except OSError as error:
            raise _unwritable(target, error) from None
        self._rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in TABLES}
        self._count = 0

    def add(self, card: Card, curves: Mapping[str, Samples]) -> None:
        """A run's rows; `curves`: metric → its steps, values and lines."""
        lead, why = card.lead, card.cause
        self._rows["runs"].append((
            card.root, card.word, card.outcome, card.last_step, card.planned_steps, lead.rule if lead else None,
            why.id if why else None, why.verdict if why else None, card.begin, card.end,
            json.dumps(dict(card.settings), ensure_ascii=False), card.error or None,
        ))  # fmt: skip
        self._rows["findings"] += [
            (card.root, one.rule, one.severity, one.confidence, one.summary, one.first_step, one.last_step, one.file, one.line,
             one.text)
            for one in card.findings
        ]  # fmt: skip
        self._rows["causes"] += [
            (card.root, place, one.id, one.title, one.verdict, one.score) for place, one in enumerate(card.causes, 1)
        ]
        self._rows["metrics"] += _points(card.root, curves)
        for name in TABLES:
            if len(self._rows[name]) >= PART:
                self._spill(name)

    def close(self) -> list[Path]:
        """Writes the tables, whole; the paths. Raises UsageError where they cannot be written."""
        import polars as pl

        written = []
        try:
            for name in TABLES:
                self._spill(name)
                path = self._path(name)
                whole = Path(self._parts.name) / f"{name}.parquet"
                parts = sorted(Path(self._parts.name).glob(f"{name}-*.part"))
                pl.scan_parquet(parts).sink_parquet(whole, compression="zstd")
                os.replace(whole, path)
                written.append(path)
        except (OSError, pl.exceptions.ComputeError) as error:
            raise _unwritable(self._target, error) from None
        finally:
            self._parts.cleanup()
        return written

    def _path(self, name: str) -> Path:
        if self._target.suffix != ".parquet":
            return self._target / f"{name}.parquet"
        return self._target if name == "findings" else self._target.with_name(f"{self._target.stem}.{name}.parquet")

    def _spill(self, name: str) -> None:
        import polars as pl

        schema = {column: getattr(pl, kind) for column, kind in TABLES[name].items()}
        frame: pl.DataFrame = pl.DataFrame(self._rows[name], schema=schema, orient="row")
        try:
            frame.write_parquet(Path(self._parts.name) / f"{name}-{self._count:06d}.part")
        except (OSError, pl.exceptions.ComputeError) as error:
            self._parts.cleanup()
            raise _unwritable(self._target, error) from None
        self._count += 1
        self._rows[name] = []


def _points(root: str, curves: Mapping[str, Samples]) -> Iterator[tuple[Any, ...]]:
    for metric, (steps, values, lines) in curves.items():
        for step, value, line in zip(steps, values, lines, strict=True):
            yield root, metric, step, value, line


def _unwritable(target: Path, error: Exception) -> UsageError:
    reason = error.strerror if isinstance(error, OSError) else str(error).splitlines()[0]
    return UsageError(f"{target} cannot be written ({reason}): choose another place for the tables.")
