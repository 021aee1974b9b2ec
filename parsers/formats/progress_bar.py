r"""tqdm's progress bars: the only place where many logs show the step they are at.

    `  4%|▍         | 10/250 [00:29<11:40,  2.92s/it]`            tqdm, any version; redrawn with `\r` on stderr
    `Training:  40%|████      | 2/5 [00:01<00:02,  1.31it/s, loss=0.52]`      with a description and a postfix

A bar says how far something is, not what: `steps.py` finds out which bar counts training steps.
"""

from __future__ import annotations

from collections.abc import Iterable

from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Record, Tick
from parsers.registry import text_reader
from parsers.values import duration_seconds

_BAR = Lazy(r"(?:^|(?P<label>[^|\r]{0,80}?):?\s*)\d{1,3}%\|[^|]{0,200}\| (?P<step>\d+)/(?P<total>\d+) \[(?P<time>[\d:]+)[<, ]")


@text_reader(
    "progress_bar",
    title="tqdm progress bars (steps)",
    hints=("it/s", "s/it", "?it/s"),
    example="  4%|▍         | 10/250 [00:29<11:40,  2.92s/it]",
)
class ProgressBar:
    """Reports each count that a bar shows as a tick."""

    hungry = False

    def feed(self, line: Line) -> Iterable[Record]:
        """A tick for a line that holds a bar with a known total."""
        found = _BAR.search(line.text)
        if found:
            label = (found["label"] or "").strip().rstrip(":")
            yield Tick(line.no, int(found["step"]), int(found["total"]), duration_seconds(found["time"]), label)

    def close(self) -> Iterable[Record]:
        """Nothing is left over."""
        return ()
