"""`analyze doctor`: the installation's own health, one line a thing, and what to do where something is missing.

Nothing is imported that is only looked at: versions come from the packages' metadata.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Final, Literal

from analyzer.errors import OK, OURS, UsageError
from analyzer.output.columns import table
from analyzer.version import VERSION

State = Literal["ok", "absent", "bad"]

EXTRAS: Final[Mapping[str, tuple[str, str]]] = {
    "ray": ("ray", "analyze scan --engine ray"),
    "remote": ("fsspec", "s3://, gs://, hf://, sftp:// paths"),
    "mcp": ("mcp", "analyze mcp"),
}
"""Extra → (the package that it brings, what it is for)."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `bad` makes the exit code 4; `absent` is something that one may do without."""

    name: str
    state: State
    said: str
    remedy: str = ""


def checks() -> Iterator[Check]:
    """Everything, in the order in which one would look."""
    yield Check("nanalyze", "ok", f"{VERSION} in {os.path.dirname(os.path.abspath(__file__))}")
    yield _python()
    yield from _packages()
    yield from _extras()
    yield _extension()
    yield _cache()
    yield _terminal()
    yield _fonts()
    yield _knowledge()


def _python() -> Check:
    said = f"{platform.python_version()} ({platform.python_implementation()}) on {platform.system()} {platform.machine()}"
    old = sys.version_info < (3, 10)
    return Check("python", "bad" if old else "ok", said, "Install Python 3.10 or later." if old else "")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _packages() -> Iterator[Check]:
    """What nanalyze itself asks for, with the bounds of its own metadata."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        asked = metadata.requires("nanalyze") or []
    except metadata.PackageNotFoundError:
        yield Check("packages", "bad", "nanalyze's metadata is missing", "Install it: pip install nanalyze.")
        return
    for text in asked:
        try:
            one = Requirement(text)
        except InvalidRequirement:
            continue
        if one.marker is not None and not one.marker.evaluate({"extra": ""}):
            continue
        found = _version(one.name)
        good = found is not None and one.specifier.contains(found, prereleases=True)
        wish = f"{one.name}{one.specifier}"
        yield Check(one.name, "ok" if good else "bad", f"{found or 'missing'} (wanted: {one.specifier})",
                    "" if good else f"Install it: pip install '{wish}'.")  # fmt: skip


def _extras() -> Iterator[Check]:
    for extra, (package, purpose) in EXTRAS.items():
        version = _version(package)
        if version:
            yield Check(f"[{extra}]", "ok", f"{version} for {purpose}")
        else:
            yield Check(f"[{extra}]", "absent", f"not installed; for {purpose}", f"pip install 'nanalyze[{extra}]'")


def _extension() -> Check:
    """Whether large logs are read by the compiled module."""
    from parsers.native import extension

    if extension() is not None:
        return Check("extension", "ok", "in use: large logs are read several times as fast")
    if os.environ.get("NANALYZE_PURE"):
        return Check("extension", "absent", "not in use (NANALYZE_PURE is set); everything works, large logs take longer")
    return Check(
        "extension", "absent", "not built; everything works, large logs take longer", "Install a C compiler, then nanalyze again."
    )


def _cache() -> Check:
    from analyzer.batch.cache import default_path

    path = default_path()
    if path.is_file():
        good = os.access(path, os.W_OK)
        return Check("cache", "ok" if good else "bad", f"{path}, {path.stat().st_size / 1e6:.1f} MB",
                     "" if good else "Make it writable, or scan with --cache PATH or --cache off.")  # fmt: skip
    parent = next((one for one in path.parents if one.exists()), path.parent)
    if parent.is_dir() and os.access(parent, os.W_OK):
        return Check("cache", "ok", f"{path}, not made yet")
    return Check("cache", "bad", f"{path} cannot be made", "Scan with --cache PATH or --cache off.")


def _terminal() -> Check:
    width = shutil.get_terminal_size((100, 24)).columns
    kind = f"{width} columns, TERM={os.environ.get('TERM', 'unset')}" if sys.stdout.isatty() else "not a terminal: plain text"
    color = "no colour (NO_COLOR)" if os.environ.get("NO_COLOR") else "colour" if sys.stdout.isatty() else "no colour"
    encoding = (sys.stdout.encoding or "ascii").lower()
    try:
        "→▸▁█".encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return Check("terminal", "absent", f"{kind}, {color}, {encoding}", "Arrows show as ?: set PYTHONIOENCODING=utf-8.")
    return Check("terminal", "ok", f"{kind}, {color}, {encoding}")


def _fonts() -> Check:
    """Reports use the reader's fonts; only `--lang zh` needs some that may be missing, and only here to look at it."""
    listing = shutil.which("fc-list")
    if listing is None:
        return Check("fonts", "ok", "reports use the fonts of whoever opens them")
    import subprocess

    try:
        done = subprocess.run([listing, ":lang=zh", "family"], capture_output=True, text=True, timeout=5, check=False)  # noqa: S603 (a fixed command)
    except (OSError, subprocess.TimeoutExpired):
        return Check("fonts", "ok", "reports use the fonts of whoever opens them")
    family = re.split(r"[,\n]", done.stdout.strip())[0]
    if family:
        return Check("fonts", "ok", f"Chinese: {family}")
    return Check("fonts", "absent", "none for Chinese", "To read --lang zh reports on this machine, install Noto Sans CJK.")


def _knowledge() -> Check:
    from analyzer.cause import load_for_weighing
    from analyzer.rule import load
    from parsers.registry import file_formats, text_formats

    formats = len(list(text_formats())) + len(list(file_formats()))
    return Check("knowledge", "ok", f"{len(load())} rules, {len(load_for_weighing())} causes, {formats} formats")


def run(form: str) -> int:
    """Prints the checks. Exit code 4 where nanalyze itself cannot work as it should."""
    if form not in ("terminal", "json"):
        raise UsageError(f"doctor has no format {form!r}: use terminal or json.")
    found = list(checks())
    if form == "json":
        print(json.dumps([asdict(one) for one in found], indent=2))
    else:
        print("\n".join(table(("", "what", "found"), [(one.state, one.name, one.said) for one in found])))
        for one in found:
            if one.remedy:
                print(f"{one.name}: {one.remedy}")
    return OURS if any(one.state == "bad" for one in found) else OK
