"""What a release is checked for, and built: `python -m tests.release v0.1.0` leaves sdist and the pure wheel in dist/.

The tag, the version, CITATION.cff and the changelog's newest section must agree; `twine check --strict` must pass; and the
wheel must be the same bytes when it is built again. Wheels with the extension are built on each platform by cibuildwheel
(`.github/workflows/release.yml`); this one serves all others.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from analyzer.version import RELEASED, VERSION
from tests.samples import ROOT


def complaints(tag: str) -> list[str]:
    """What is wrong with releasing this tag now."""
    found = []
    if tag != f"v{VERSION}":
        found.append(f"the tag is {tag}, analyzer/version.py says {VERSION}")
    cited = (ROOT / "CITATION.cff").read_text("utf-8")
    for line in (f"version: {VERSION}", f'date-released: "{RELEASED}"'):
        if f"{line}\n" not in cited:
            found.append(f"CITATION.cff does not say {line}")
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8")
    heads = re.findall(r"^## (.+)$", changes, re.MULTILINE)
    if f"{VERSION} ({RELEASED})" not in heads:
        found.append(f"CHANGELOG.md has no section '## {VERSION} ({RELEASED})': cut 'Unreleased'")
    return found


def build(into: Path) -> list[Path]:
    """sdist and the wheel without the extension, with the time of the last commit in them."""
    done = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=False)
    env = {**os.environ, "SOURCE_DATE_EPOCH": done.stdout.strip() or "1700000000", "NANALYZE_PURE": "1"}
    subprocess.run([sys.executable, "-m", "build", "-q", "--no-isolation", "--outdir", str(into)], cwd=ROOT, env=env, check=True)
    return sorted(into.iterdir())


def digests(files: list[Path]) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def main(arguments: list[str]) -> int:
    wrong = complaints(arguments[0]) if arguments else ["name the tag: python -m tests.release v0.1.0"]
    if wrong:
        print("\n".join(f"release: {one}" for one in wrong), file=sys.stderr)
        return 1
    target = ROOT / "dist"
    shutil.rmtree(target, ignore_errors=True)
    files = build(target)
    with tempfile.TemporaryDirectory() as again:
        if digests(build(Path(again))) != digests(files):
            print("release: a second build gives other bytes", file=sys.stderr)
            return 1
    subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *map(str, files)], check=True)
    for name, digest in digests(files).items():
        print(f"{digest}  {name}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
