"""Programs that refused their arguments before anything ran: argparse's usage errors.

    train.py: error: unrecognized arguments: --evaluation_strategy steps
    train.py: error: the following arguments are required: --data
    train.py: error: argument --precision: invalid choice: 'fp8' (choose from 'fp16', 'bf16')

argparse exits with code 2 and prints no traceback.
"""

from __future__ import annotations

from collections.abc import Iterable

from parsers import kinds
from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Event, Record
from parsers.registry import text_reader
from parsers.sated import sated

_USAGE = Lazy(
    r"^\S{1,200}(?: \w+)?: error: (?P<message>(?:unrecognized arguments|the following arguments are required"
    r"|ambiguous option|argument \S+).{0,200})"
)


@text_reader(
    "usage_errors",
    title="arguments that a program refused (argparse)",
    hints=(": error: unrecognized arg", ": error: the following arg", ": error: argument ", ": error: ambiguous option"),
    example="train.py: error: unrecognized arguments: --evaluation_strategy steps",
)
@sated
class UsageErrors:
    """Reads each line on its own."""

    hungry = False

    def feed(self, line: Line) -> Iterable[Record]:
        """The argument that was refused."""
        found = _USAGE.match(line.text)
        if found:
            yield Event(kinds.CONFIG_ERROR, line.ref, rank=line.rank, time=line.time, data={"message": found["message"]})

    def close(self) -> Iterable[Record]:
        """Nothing is left over."""
        return ()
