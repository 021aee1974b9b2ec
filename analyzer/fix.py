"""`--fix-dir DIR`: the first cause's remedy as files: patched copies, one unified diff, and the order to go in.

Copies are named `ds_config.fixed.json` and are written beside, never over, the originals. Without an original at hand (a log
alone says which settings it ran with, not the file) the settings are written as a fragment to merge by hand. A file that is
there already is replaced only where it is what an earlier `--fix-dir` wrote (`ours.py`); otherwise nothing is written (exit 2).

    DIR/ds_config.fixed.json   the run's own configuration with the remedy's settings
    DIR/arguments.fixed.txt    the launcher's arguments, one a line
    DIR/constraints.fixed.txt  versions, for `pip install -c constraints.fixed.txt PACKAGE`
    DIR/fix.diff               changes of files; `patch -p1 < fix.diff` beside the originals applies them
    DIR/APPLY.md               what to do, in order: discard, versions, settings, experiment, cost
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from analyzer import json_edit, ours
from analyzer.errors import AnalyzerError, UsageError
from analyzer.model import Diagnosis, Match
from analyzer.writing import write
from parsers import dsconfig, packages

ARGUMENTS: Final = "arguments.txt"
FRAGMENT: Final = "ds_config.json"
MAX_BYTES: Final = 4 * 2**20
_REQUIREMENT: Final = re.compile(r"[A-Za-z0-9][\w.-]*(?:\[[\w,-]+\])? ?(?:[<>=!~]{1,2} ?[\w.*+!]+,? ?)+(?=\s|$|,|\))")


@dataclass(frozen=True, slots=True)
class Patch:
    """A file before and after. `is_file`: there is an original on the disk, so that the change can be applied to it."""

    name: str
    before: str
    after: str
    is_file: bool = True

    @property
    def fixed_name(self) -> str:
        """`ds_config.json` → `ds_config.fixed.json`; such names are never taken for a run's own files."""
        stem, dot, suffix = self.name.rpartition(".")
        return f"{stem}.fixed{dot}{suffix}" if stem else f"{self.name}.fixed"

    def diff(self) -> Iterator[str]:
        """The change as lines of a unified diff."""
        before, after = self.before.splitlines(keepends=True), self.after.splitlines(keepends=True)
        for line in difflib.unified_diff(before, after, f"a/{self.name}", f"b/{self.name}"):
            yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def write_fixes(diagnosis: Diagnosis, folder: Path, lang: str = "en") -> list[Path]:
    """Writes the first cause's remedy into a folder, made where it is missing; the paths written, in order.

    Raises AnalyzerError where no cause with a remedy was found, UsageError where the folder cannot be written or holds a file of
    somebody else's by one of these names.
    """
    if not diagnosis.causes or not diagnosis.loud() or not diagnosis.causes[0].remedy:
        raise AnalyzerError("no cause with a remedy was found, so --fix-dir has nothing to write: the report says what is known.")
    match = diagnosis.causes[0]
    made = list(patches(diagnosis, match))
    files = {patch.fixed_name: patch.after for patch in made}
    for name, is_file in (("fix.diff", True), ("arguments.diff", False)):
        changes = "".join(line for patch in made if patch.is_file == is_file and patch.before for line in patch.diff())
        files.update({name: changes} if changes else {})
    files["APPLY.md"] = _order(match, made, diagnosis, lang)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be made ({error.strerror}): choose another --fix-dir.") from None
    originals = {Path(file.path).resolve() for file in diagnosis.run.files}
    for target in [folder / name for name in files]:
        if target.resolve() in originals:
            raise UsageError(f"{target} was read for this diagnosis and stays as it is: choose another --fix-dir.")
    targets = {folder / name: text for name, text in ours.signed(folder, files).items()}
    for target, text in targets.items():
        write(target, text)
    return list(targets)


def patches(diagnosis: Diagnosis, match: Match) -> Iterator[Patch]:
    """What the remedy changes, file by file."""
    config, arguments = match.remedy.get("config"), match.remedy.get("arguments")
    if isinstance(config, Mapping) and config:
        yield from _config(diagnosis, config)
    if isinstance(arguments, Mapping) and arguments:
        yield _arguments(diagnosis, arguments)
    wanted = [str(one) for one in match.remedy.get("packages", ())]
    if wanted:
        yield Patch("constraints.txt", "", "".join(_constraints(wanted)), False)
        yield from _requirements(diagnosis, wanted)


def _config(diagnosis: Diagnosis, config: Mapping[str, Any]) -> Iterator[Patch]:
    originals = [(name, text) for name, text in _texts(diagnosis, (".json", ".hjson")) if _is_ds_config(text)]
    for name, text in originals:
        after = patched(text, config)
        if after != text:
            yield Patch(name, text, after)
    if not originals:
        yield Patch(FRAGMENT, "", json.dumps(_nested(config), indent=2) + "\n", False)


def patched(text: str, config: Mapping[str, Any]) -> str:
    """A ds_config with dotted settings set; rewritten as a whole only where setting them in place did not work out."""
    after = text
    for key, value in config.items():
        after = json_edit.set_value(after, str(key), value)
    parsed = dsconfig.loads(after)
    now = dict(dsconfig.flat(parsed)) if parsed is not None else {}
    if all(now.get(str(key)) == dsconfig.plain(value) for key, value in config.items()):
        return after
    whole = dict(dsconfig.loads(text) or {})
    _merge(whole, _nested(config))
    return json.dumps(whole, indent=2) + "\n"


def _nested(config: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in config.items():
        place = made
        *sections, name = str(key).split(".")
        for section in sections:
            place = place.setdefault(section, {})
        place[name] = value
    return made


def _merge(into: dict[str, Any], values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def _is_ds_config(text: str) -> bool:
    parsed = dsconfig.loads(text)
    return parsed is not None and any(key in parsed for key in ("zero_optimization", "bf16", "fp16", "train_batch_size",
                                                                "train_micro_batch_size_per_gpu"))  # fmt: skip


def _texts(diagnosis: Diagnosis, suffixes: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(name, text) of the run's small text files with such a suffix."""
    for file in diagnosis.run.files:
        path = Path(file.path)
        if path.suffix in suffixes and file.lines and file.bytes <= MAX_BYTES:
            try:
                yield path.name, path.read_text("utf-8")
            except (OSError, UnicodeDecodeError):
                continue


def _arguments(diagnosis: Diagnosis, arguments: Mapping[str, Any]) -> Patch:
    """The arguments, one a line, as they were said and as they should be; `None` takes one away."""
    now = {name: _shell(name, value) for name, value in sorted(diagnosis.run.arguments.items())}
    wanted = {**now, **{str(name): _shell(str(name), value) for name, value in arguments.items()}}
    return Patch(ARGUMENTS, "".join(now.values()), "".join(wanted[name] for name in sorted(wanted)), False)


def _shell(name: str, value: Any) -> str:
    import shlex

    return f"--{name} {shlex.quote(str(value))}\n"


def _constraints(wanted: Sequence[str]) -> Iterator[str]:
    """Versions for pip: of alternatives the first is in force, the others stand as comments."""
    for text in wanted:
        pin = _pin(text)
        rest = text[len(pin) :].strip(" ;,()")
        yield f"{pin}\n" if pin else ""
        yield f"# {rest}\n" if rest else ""


def _pin(text: str) -> str:
    """The requirement at the beginning of a remedy's line, '' where it begins with something else (`or …`, a sentence)."""
    found = _REQUIREMENT.match(text)
    return found[0].strip() if found else ""


def _requirements(diagnosis: Diagnosis, wanted: Sequence[str]) -> Iterator[Patch]:
    """The run's own requirements with the pins of the remedy put in their place."""
    pins = {packages.canonical(re.split(r"[<>=!~\[ ]", pin, maxsplit=1)[0]): pin for text in wanted if (pin := _pin(text))}
    for name, text in _texts(diagnosis, (".txt", ".in")):
        lines = text.splitlines(keepends=True)
        own = [packages.pinned(line) for line in lines]
        if not any(own) or "requirement" not in name:
            continue
        after = [
            f"{pins[packages.canonical(pin[0])]}\n" if pin and packages.canonical(pin[0]) in pins else line
            for pin, line in zip(own, lines, strict=True)
        ]
        if after != lines:
            yield Patch(name, text, "".join(after))


def _order(match: Match, made: Sequence[Patch], diagnosis: Diagnosis, lang: str) -> str:
    """What to do, in the order to do it."""
    from analyzer.output import story, translate
    from analyzer.output.strings import catalogue

    s = catalogue(lang)
    match = translate.cause(match, s)
    lines = [f"# {match.title}", "", f"{s('cause.' + match.verdict)}: {s('cause_means.' + match.verdict)} (`{match.id}`)", ""]
    for number, step in enumerate(story.steps(diagnosis, match, s), 1):
        lines.append(f"{number}. {step.text}")
        if step.code:
            lines += ["", f"   ```{step.kind}", *(f"   {line}" for line in step.code.split("\n")), "   ```", ""]
    cost = story.cost(match, s)
    lines += ["", cost] if cost else []
    lines += ["", f"{s('ui.experiment')}: {match.confirm_by.strip()}"] if match.confirm_by else []
    lines += ["", *(f"- `{patch.fixed_name}`" for patch in made)] if made else []
    return "\n".join(lines) + "\n"
