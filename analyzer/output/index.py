"""The rows of a batch's index and what the index page shows of them: counts, groups by first cause, one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from analyzer.model import CauseVerdict, Diagnosis, Verdict
from analyzer.output import story
from analyzer.output.strings import Strings, catalogue
from analyzer.output.translate import translated

SPARK_POINTS: Final = 40
_ORDER: Final[tuple[Verdict, ...]] = ("failed", "suspicious", "healthy", "unjudged")


@dataclass(frozen=True, slots=True)
class Row:
    """One run of a batch. `spark` are loss values over the run (NaN where it was not finite); `duration` in seconds,
    `when` in seconds since the epoch; `href` is the run's page relative to the index, empty where there is none.
    `settings` are the few settings by which runs of one group are compared.
    """

    path: str
    href: str
    verdict: Verdict
    finding: str = ""
    finding_step: int | None = None
    cause_id: str = ""
    cause_title: str = ""
    cause_verdict: CauseVerdict | None = None
    last_step: int | None = None
    planned: int | None = None
    spark: tuple[float, ...] = ()
    duration: float | None = None
    when: float | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """The runs that share a first cause; `shared` are the settings all of them have."""

    title: str
    count: int
    shared: str
    key: str


def index_row(path: str, href: str, diagnosis: Diagnosis | None, error: str = "", lang: str = "en") -> Row:
    """The row of one run; without a diagnosis `error` says in a sentence why there is none."""
    if diagnosis is None:
        return Row(path=path, href=href, verdict="unjudged", finding=error)
    s = catalogue(lang)
    diagnosis = translated(diagnosis, s)
    lead = story.leading(diagnosis)
    cause = diagnosis.causes[0] if diagnosis.causes and diagnosis.verdict in ("failed", "suspicious") else None
    times = sorted(entry.time for entry in diagnosis.timeline if entry.time is not None and story.clock(entry.time))
    loss = story.curve(diagnosis, "loss")
    return Row(
        path=path, href=href, verdict=diagnosis.verdict, finding=story.finding_text(lead) if lead else error,
        finding_step=lead.first_step if lead else None, cause_id=cause.id if cause else "",
        cause_title=cause.title if cause else "", cause_verdict=cause.verdict if cause else None,
        last_step=diagnosis.run.last_step, planned=diagnosis.run.planned_steps, spark=_thin(loss.values) if loss else (),
        duration=times[-1] - times[0] if len(times) > 1 else None, when=times[0] if times else None,
        settings=_settings(diagnosis, s), rule=lead.rule if lead else "",
    )  # fmt: skip


def _thin(values: Sequence[float]) -> tuple[float, ...]:
    """At most SPARK_POINTS values; the largest, or the one that is not a number, stands for its neighbours."""
    if len(values) <= SPARK_POINTS:
        return tuple(values)
    parts = [values[i * len(values) // SPARK_POINTS : (i + 1) * len(values) // SPARK_POINTS] for i in range(SPARK_POINTS)]
    return tuple(next((v for v in part if v != v), max(part)) for part in parts)


def _settings(diagnosis: Diagnosis, s: Strings) -> dict[str, str]:
    packages = diagnosis.run.packages
    found = {name: f"{name} {packages[name]}" for name in ("deepspeed", "transformers", "torch") if name in packages}
    parts = story.identity(diagnosis, s)
    return {**found, **{part: part for part in parts if part.startswith("ZeRO-") or part in ("bf16", "fp16")}}


def index_view(rows: Sequence[Row], s: Strings) -> dict[str, Any]:
    """What the template draws."""
    counts = [(verdict, sum(1 for one in rows if one.verdict == verdict)) for verdict in _ORDER]
    return {
        "rows": [_cells(one) for one in rows],
        "counts": [pair for pair in counts if pair[1]],
        "groups": _groups(rows, s),
        "total": len(rows),
        "folder": _folder([one.path for one in rows]),
    }


def _folder(paths: Sequence[str]) -> str:
    """The folder that all runs lie in, with its slash: said once instead of in every row; '' where there is none."""
    if len(paths) < 2:
        return ""
    low, high = min(paths), max(paths)
    shared = next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
    return low[: low.rfind("/", 0, shared) + 1]


def _groups(rows: Sequence[Row], s: Strings) -> list[Group]:
    """Failed and suspicious runs by first cause, largest group first, those without a known cause last."""
    by_cause: dict[str, list[Row]] = {}
    for one in rows:
        if one.verdict in ("failed", "suspicious"):
            by_cause.setdefault(one.cause_id, []).append(one)
    groups = []
    for cause, members in by_cause.items():
        common = dict(members[0].settings)
        for one in members[1:]:
            common = {key: text for key, text in common.items() if one.settings.get(key) == text}
        shared = s("index.shared", settings=", ".join(common.values())) if common and len(members) > 1 else ""
        groups.append(Group(members[0].cause_title if cause else s("index.group_none"), len(members), shared, cause))
    return sorted(groups, key=lambda group: (not group.key, -group.count, group.key))


def _cells(one: Row) -> dict[str, Any]:
    return {"row": one, "spark": spark_path(one.spark), "bad": spark_bad(one.spark), "duration": clock_length(one.duration)}


def _finite(values: Sequence[float]) -> list[float]:
    return [value for value in values if value == value and abs(value) != float("inf")]


def spark_path(values: Sequence[float]) -> str:
    """SVG path of a sparkline in a box of 80 × 20, broken where a value is not finite."""
    finite = sorted(_finite(values))
    if not finite:
        return ""
    low, high = finite[0], finite[(len(finite) - 1) * 98 // 100]
    parts, pen = [], "M"
    for index, value in enumerate(values):
        if not _finite((value,)):
            pen = "M"
            continue
        share = min(1.0, (value - low) / (high - low)) if high > low else 0.5
        parts.append(f"{pen}{_spark_x(index, values)} {18 - share * 16:.1f}")
        pen = "L"
    return "".join(parts)


def spark_bad(values: Sequence[float]) -> str:
    """SVG path of the ticks at the top edge of a sparkline where values are not finite."""
    return "".join(f"M{_spark_x(index, values)} 0v5" for index, value in enumerate(values) if not _finite((value,)))


def _spark_x(index: int, values: Sequence[float]) -> str:
    return f"{index / max(1, len(values) - 1) * 80:.1f}"


def clock_length(seconds: float | None) -> str:
    """3 h 12 min, 4 min 5 s, 12 s; empty where unknown."""
    if seconds is None or not 0 <= seconds < 1e9:
        return ""
    whole = int(seconds)
    hours, minutes = whole // 3600, whole % 3600 // 60
    if hours >= 48:
        return f"{hours // 24} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"
