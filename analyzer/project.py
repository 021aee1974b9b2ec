"""A project's own wishes: `[tool.nanalyze]` in pyproject.toml, or the same keys at the top of nanalyze.toml.

    [tool.nanalyze.ignore]
    loss-spike = "batch size 1: single samples are that hard"   # the reason is part of it

    [tool.nanalyze.severity]
    no-progress = "info"

    [tool.nanalyze.thresholds.throughput-drop]
    factor = 4.0

It is looked for from the working directory upwards, by the command line only: what `diagnose()` says depends on its
arguments alone. Nothing in it can run code.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from analyzer.errors import UsageError
from analyzer.model import SEVERITIES, Severity
from analyzer.rule import Rule
from parsers.small_files import content
from parsers.source import UnreadableError

MAX_BYTES: Final = 2**22
OFF: Final = "off"
"""`--config off`: no project file, whatever lies around."""
FILES: Final = ("nanalyze.toml", "pyproject.toml")
_KEYS: Final = ("ignore", "severity", "thresholds")


@dataclass(frozen=True, slots=True)
class Project:
    """What a project file says. `ignore`: rule → reason. `thresholds`: rule → name → number."""

    path: str = ""
    ignore: Mapping[str, str] = field(default_factory=dict)
    severity: Mapping[str, Severity] = field(default_factory=dict)
    thresholds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def severity_of(self, rule: str, usual: Severity, found: Severity) -> Severity:
        """The severity of a finding of `rule`: the stated one where it has the rule's usual one, or where that is milder.

        What a rule itself holds to be milder than usual is not raised.
        """
        stated = self.severity.get(rule)
        if stated is None or (found != usual and SEVERITIES.index(stated) < SEVERITIES.index(found)):
            return found
        return stated


def chosen(config: str | None, rules: Sequence[Rule], start: Path | None = None) -> Project:
    """The project that `--config` names, or that is found from `start` upwards. Raises UsageError for a wrong file."""
    if config == OFF:
        return Project()
    path = Path(config) if config is not None else find(start or Path.cwd())
    return load(path, rules) if path is not None else Project()


def find(start: Path) -> Path | None:
    """The nearest project file that speaks of us, None where there is none."""
    for folder in (start.absolute(), *start.absolute().parents):
        for name in FILES:
            path = folder / name
            if path.is_file() and (name != "pyproject.toml" or _mentions(path)):
                return path
    return None


def _mentions(path: Path) -> bool:
    try:
        return b"tool.nanalyze" in content(path, MAX_BYTES)
    except (OSError, UnreadableError):
        return False


def load(path: Path, rules: Sequence[Rule]) -> Project:
    """Reads a project file; `rules` are those that it may speak of. Raises UsageError with what to mend."""
    table = _table(path)
    known = {one.id: one for one in rules}
    _only(path, table, _KEYS, "key")
    ignore, severity, thresholds = (_section(path, table, key) for key in _KEYS)
    for section in (ignore, severity, thresholds):
        _only(path, section, known, "rule")
    return Project(
        str(path),
        {rule: _reason(path, rule, value) for rule, value in ignore.items()},
        {rule: _severity(path, rule, value) for rule, value in severity.items()},
        {rule: _numbers(path, known[rule], value) for rule, value in thresholds.items()},
    )


def _table(path: Path) -> Mapping[str, Any]:
    import tomli

    try:
        data = tomli.loads(content(path, MAX_BYTES).decode("utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}): name a project file, or --config off.") from None
    except UnreadableError as error:
        raise UsageError(str(error)) from None
    except (ValueError, RecursionError) as error:  # no UTF-8, no TOML, a number without end, a key of a thousand parts
        raise UsageError(f"{path} is no TOML ({error}): mend it, or --config off.") from None
    if path.name != "pyproject.toml":
        return data
    tool = data.get("tool", {})
    return _section(path, tool if isinstance(tool, dict) else {}, "nanalyze")


def _section(path: Path, table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    section = table.get(key, {})
    if not isinstance(section, dict):
        raise UsageError(f"{path}: {key} must be a table, [{key}].")
    return section


def _only(path: Path, table: Mapping[str, Any], known: Iterable[str], what: str) -> None:
    names = list(known)
    for name in table:
        if name not in names:
            import difflib

            near = difflib.get_close_matches(name, names, 1, 0.5)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(names[:8])}{', …' if len(names) > 8 else ''}."
            raise UsageError(f"{path}: there is no {what} {name!r}; {hint}")


def _reason(path: Path, rule: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f'{path}: ignore.{rule} needs a reason: {rule} = "why it is left out".')
    return " ".join(value.split())


def _severity(path: Path, rule: str, value: object) -> Severity:
    for severity in SEVERITIES:
        if value == severity:
            return severity
    raise UsageError(f"{path}: severity.{rule} must be critical, warning or info, not {value!r}.")


def _numbers(path: Path, rule: Rule, table: object) -> Mapping[str, float]:
    if not isinstance(table, dict):
        raise UsageError(f"{path}: thresholds.{rule.id} must be a table of names and numbers.")
    if table and not rule.thresholds:
        raise UsageError(f"{path}: {rule.id} has no thresholds.")
    _only(path, table, rule.thresholds, f"threshold of {rule.id}")
    for name, value in table.items():
        whole = isinstance(rule.thresholds[name].default, int)
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
        if not is_number or (whole and not isinstance(value, int)):
            kind = "a whole number" if whole else "a number"
            raise UsageError(f"{path}: thresholds.{rule.id}.{name} must be {kind}, 0 or more, not {value!r}.")
    return dict(table)
