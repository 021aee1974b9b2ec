"""Messages that a sample's targets were masked or truncated away: nothing in it is learned, its loss is 0 or NaN.

    WARNING: tokenization mismatch: 1 vs. 62. (ignored)                            LLaVA and kin, llava/train/train.py
    WARNING: tokenization mismatch: 102 vs. 104. #turn = 3. (ignored)
    UserWarning: Could not find response key `### Response:` in the following instance: …      TRL's completion-only collator
    UserWarning: Could not find instruction key `### Human:` in the following instance: …
    This instance will be ignored in loss calculation. Note, if this happens often, consider increasing the `max_seq_length`.

They come by the thousand, so each becomes a row with the metric `labels_masked` (its value: samples).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from parsers.line import Line
from parsers.model import Record, Row
from parsers.plain import Part, Plain
from parsers.registry import text_reader
from parsers.said import Rows

MARKS = (
    "tokenization mismatch", "Could not find response key", "Could not find instruction key", "No valid labels found",
    "all labels are masked", "all labels are -100", "labels are all -100", "All labels are -100", "No label tokens found",
)  # fmt: skip


@text_reader(
    "labels",
    title="Masked or truncated targets (tokenization mismatch, response key not found)",
    hints=MARKS,
    example="WARNING: tokenization mismatch: 1 vs. 62. (ignored)",
    plain=(
        Plain(
            r"(?:WARNING: )?tokenization mismatch: \d{1,12} vs\. \d{1,12}\.(?: \(ignored\))?",
            "plain_mismatch",
            ("WARNING: tokenization mismatch: 1 vs. 62. (ignored)", "tokenization mismatch: 1 vs. 62. (ignored)"),
            is_columnar=True,
        ),
    ),
)
class Labels:
    """Counts messages; several glued on one line count each."""

    hungry = False
    file_rank: int | None = None

    def feed(self, line: Line) -> Iterable[Record]:
        """One row a line, its value the number of messages on it (and of the copies that Ray folded)."""
        count = max((line.text.count(mark) for mark in MARKS), default=0)
        if count and not line.text.lstrip().startswith(("warnings.warn(", "print(", 'f"', "raise ")):
            yield Row(line.no, (("labels_masked", float(count * line.repeats)),), None, "train", line.rank, line.time)

    def plain_mismatch(self, number: int, _: re.Match[bytes]) -> Iterable[Record]:
        """One message by itself."""
        return (Row(number, (("labels_masked", 1.0),), None, "train", self.file_rank, None),)

    def columns(self, parts: Sequence[Part]) -> Iterable[Rows]:
        """One message a line."""
        return [Rows(at, lines, ("labels_masked",), ([1.0] * len(at),), rank=self.file_rank) for _, at, lines, _ in parts]

    def close(self) -> Iterable[Record]:
        """Nothing is left over."""
        return ()
