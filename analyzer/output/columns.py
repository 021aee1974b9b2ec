"""Plain text in columns."""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.output.plain import cells, pad


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns padded to their widest cell; the last one is left as it is."""
    widths = [max(cells(row[i]) for row in [head, *rows]) for i in range(len(head))]
    return ["  ".join(pad(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in [head, *rows]]
