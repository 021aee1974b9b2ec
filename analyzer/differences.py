"""What two runs were set to, side by side: versions, ds_config, arguments, hardware, with the lines that say so.

Values are compared as what they mean (`True`, `true` and `1`; `2e-05` and `0.00002`). `auto` says nothing and is no difference.
A key that only one run names is no change either: the other log may just not print it; such keys are listed apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from parsers.model import Environment, Fact, SourceRef, Value

Area = Literal["packages", "config", "arguments", "hardware", "run"]
AREAS: Final[tuple[tuple[Area, str], ...]] = (
    ("packages", "package:"), ("config", "config:"), ("arguments", "arg:"), ("hardware", "hardware:"), ("run", "run:"),
)  # fmt: skip

_INCIDENTAL: Final = re.compile(
    r"arg:(output_dir|logging_dir|run_name|local[-_]rank|master_(addr|port)|hub_.*|cache_dir|report_to|push_to_hub.*|wandb.*|disable_tqdm"
    r"|save_.*|log_level.*|data_path|deepspeed|deepspeed_config|resume.*)"
    r"|run:(command|host|hostname|start|started|pid|user|cwd|program|directory|script|deepspeed_config|planned_steps|global_step|total_flos|epochs?)"
    r"|config:(tensorboard|wandb|csv_monitor|comet|monitor_config|steps_per_print|wall_clock_breakdown|dump_state).*"
    r"|hardware:(driver|host.*)"
)
"""Keys that differ between any two runs, or that say nothing about how a run trains."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One key with another value in each run; `good` or `bad` is None (with no ref) where that run does not name it."""

    area: Area
    key: str
    good: Value
    bad: Value
    good_ref: SourceRef | None
    bad_ref: SourceRef | None
    is_incidental: bool = False

    @property
    def is_change(self) -> bool:
        """Whether both runs name the key."""
        return self.good_ref is not None and self.bad_ref is not None

    @property
    def name(self) -> str:
        """The whole key, e.g. `config:bf16.enabled`."""
        return dict(AREAS)[self.area] + self.key


def differences(good: Environment, bad: Environment) -> tuple[Difference, ...]:
    """Changes first, by area and key; then what only one run names; incidental keys last in each."""
    found = [one for area, prefix in AREAS for one in _of_area(area, prefix, good, bad)]
    return tuple(sorted(found, key=lambda one: (not one.is_change, one.is_incidental)))


def _of_area(area: Area, prefix: str, good: Environment, bad: Environment) -> Iterator[Difference]:
    ours, theirs = dict(good.under(prefix)), dict(bad.under(prefix))
    for key in sorted({*ours, *theirs}):
        one, other = _said(ours.get(key)), _said(theirs.get(key))
        if one is None and other is None:
            continue
        if one is not None and other is not None and _is_same(area, one.value, other.value):
            continue
        incidental = is_incidental(prefix + key) or _is_same_file(one, other)
        yield Difference(
            area, key, one.value if one else None, other.value if other else None, one.ref if one else None,
            other.ref if other else None, incidental,
        )  # fmt: skip


def is_incidental(key: str) -> bool:
    """Whether a whole key says nothing about how a run trains."""
    return _INCIDENTAL.fullmatch(key) is not None


def _said(fact: Fact | None) -> Fact | None:
    return None if fact is None or str(fact.value).lower() == "auto" else fact


def _is_same(area: Area, one: Value, other: Value) -> bool:
    """Whether two values mean the same; `2.11.0` and `2.11.0+cu130` do, since many sources leave out the build."""
    if area == "packages":
        first, second = str(one).partition("+"), str(other).partition("+")
        return first[0] == second[0] and (not first[2] or not second[2] or first[2] == second[2])
    return normal(one) == normal(other)


def normal(value: Value) -> str | float:
    """What a value means, however it is spelt."""
    text = str(value).strip().lower()
    if text in ("true", "yes", "on"):
        return 1.0
    if text in ("false", "no", "off"):
        return 0.0
    try:
        return float(text)
    except ValueError:
        return text


def _is_same_file(one: Fact | None, other: Fact | None) -> bool:
    """Whether both values are paths that end in the same name: two machines, one data set."""
    texts = [str(fact.value) for fact in (one, other) if fact is not None]
    names = {text.replace("\\", "/").rstrip("/").rpartition("/")[2] for text in texts}
    return len(texts) == 2 and all("/" in text for text in texts) and len(names) == 1
