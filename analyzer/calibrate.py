"""How good the differential is: top-1, top-3 and how often each verdict was right, over labelled cases.

    python -m analyzer.calibrate cases.jsonl [more.jsonl …]

A manifest holds a JSON object a line: `file` (relative to the manifest) and `causes` (the ids a fair judge accepts); lines
without causes are left out. Weights in cause files are set by hand: this says whether a change was one for the better.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from analyzer.diagnosis import diagnose
from analyzer.model import CauseVerdict
from parsers import UnreadableError


class Outcome(NamedTuple):
    """One case: the ids accepted, the ids listed in order, and the verdict on the first of them."""

    file: str
    accepted: frozenset[str]
    listed: tuple[str, ...]
    verdict: CauseVerdict | None

    def is_within(self, places: int) -> bool:
        """Whether an accepted cause stands among the first `places`."""
        return bool(self.accepted.intersection(self.listed[:places]))


def outcomes(manifest: Path) -> Iterator[Outcome]:
    """Diagnoses every labelled case of a manifest. Raises OSError or ValueError where the manifest cannot be read."""
    for line in manifest.read_text("utf-8").splitlines():
        entry = json.loads(line) if line.strip() else {}
        if entry.get("causes"):
            yield _outcome(manifest.parent / entry["file"], frozenset(entry["causes"]))


def _outcome(path: Path, accepted: frozenset[str]) -> Outcome:
    try:
        causes = diagnose(path).causes
    except UnreadableError:
        causes = ()
    return Outcome(str(path), accepted, tuple(cause.id for cause in causes), causes[0].verdict if causes else None)


def report(found: Iterable[Outcome]) -> str:
    """The calibration as text: totals, a line a verdict, and each case whose first cause was another."""
    every = list(found)
    by_verdict = Counter((one.verdict or "none", one.is_within(1)) for one in every)
    lines = [f"cases {len(every)} · top-1 {_share(every, 1)} · top-3 {_share(every, 3)}"]
    for verdict in ("confirmed", "likely", "possible", "none"):
        right, wrong = by_verdict[verdict, True], by_verdict[verdict, False]
        if right + wrong:
            lines.append(f"{verdict:9} {right} right, {wrong} wrong")
    lines += [
        f"  {one.file}: {', '.join(sorted(one.accepted))} behind {', '.join(one.listed[:3]) or 'nothing'}"
        for one in every
        if not one.is_within(1)
    ]
    return "\n".join(lines)


def _share(every: Sequence[Outcome], places: int) -> str:
    met = sum(one.is_within(places) for one in every)
    return f"{met}/{len(every)} ({met / len(every):.3f})" if every else "0/0"


def main(arguments: Sequence[str]) -> int:
    """Prints the calibration over the manifests named; 2 where none is, or one cannot be read."""
    if not arguments:
        sys.stderr.write("name at least one manifest: python -m analyzer.calibrate cases.jsonl\n")
        return 2
    try:
        found = [one for name in arguments for one in outcomes(Path(name))]
    except (OSError, ValueError, KeyError) as error:
        sys.stderr.write(f"a manifest cannot be read: {error}\n")
        return 2
    sys.stdout.write(report(found) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
