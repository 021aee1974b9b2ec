"""What became of a run, read from its own rows: healthy, nan, a norm that sticks to √k, an error; and the table of it all."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

ROW: Final = re.compile(r"^step (\d+) loss (\S+)(?: grad_norm (\S+))?", re.MULTILINE)
STUCK: Final = 8
"""Equal norms in a row that are no chance."""
ERROR: Final = re.compile(r"^(?:\[rank\d+\]: ?)?([\w.]{1,80}(?:Error|Exception)\b.{0,160})", re.MULTILINE)


def outcome(log: str) -> dict[str, Any]:
    """{outcome, first_step, last_step, last_loss, error} of a log."""
    rows = [(int(step), float(loss), float(norm or "nan")) for step, loss, norm in ROW.findall(log)]
    named = [("nan", _first_nan(rows)), ("norm stuck", _first_stuck(rows)), ("loss 0", _first_zero(rows))]
    wrong = next(((name, step) for name, step in named if step is not None), None)
    error = ERROR.search(log)
    how = wrong[0] if wrong else "error" if error else "healthy" if rows else "nothing"
    return {
        "outcome": how, "first_step": wrong[1] if wrong else None, "last_step": rows[-1][0] if rows else None,
        "last_loss": rows[-1][1] if rows and math.isfinite(rows[-1][1]) else None, "error": error[1] if error else "",
    }  # fmt: skip


def _first_nan(rows: Sequence[tuple[int, float, float]]) -> int | None:
    has_norm = any(math.isfinite(norm) for _, _, norm in rows)
    return next((step for step, loss, norm in rows if not math.isfinite(loss) or (has_norm and not math.isfinite(norm))), None)


def _first_stuck(rows: Sequence[tuple[int, float, float]]) -> int | None:
    for at in range(len(rows) - STUCK + 1):
        if len({norm for _, _, norm in rows[at : at + STUCK]}) == 1 and rows[at][2] > 0:
            return rows[at][0]
    return None


def _first_zero(rows: Sequence[tuple[int, float, float]]) -> int | None:
    return next((step for step, loss, _ in rows if loss == 0), None)


def table(rows: Iterable[dict[str, Any]]) -> str:
    """The race's runs as Markdown: a row a version, a column a setting, what became of each seed; then the failures."""
    race = [row for row in rows if row["fault"] == "race"]
    settings = sorted({row["name"].split("-", 2)[2].rpartition("-")[0] for row in race})
    lines = ["| DeepSpeed | " + " | ".join(settings) + " |", "|" + "---|" * (len(settings) + 1)]
    for version in dict.fromkeys(row["deepspeed"] for row in race):
        cells = [_cell([row for row in race if row["name"].startswith(f"race-ds{version}-{setting}-")]) for setting in settings]
        lines.append(f"| {version} | " + " | ".join(cells) + " |")
    lines += ["", "| failure | launcher | exit code | seconds | error |", "|---|---|---|---|---|"]
    lines += [
        f"| {row['name']} | {row['launcher']} | {row['exit_code']} | {row['seconds']} | {row['error'].replace('|', ' ')[:80]} |"
        for row in rows if row["fault"] != "race"
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _cell(rows: Sequence[dict[str, Any]]) -> str:
    said = [f"{row['outcome']}{'' if row['first_step'] is None else ' at ' + str(row['first_step'])}" for row in rows]
    return ", ".join(f"{said.count(one)}× {one}" for one in dict.fromkeys(said)) or "not run"
