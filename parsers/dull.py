"""What the skeleton of lines shows of their text: for readers that tell by it that they have nothing to say."""

from __future__ import annotations

import re

_COLOUR = re.compile(rb"\x1b\[[;?]*[A-Za-z]")
"""An escape sequence in a skeleton, where it has no digits."""


def shown(bare: bytes) -> bytes | None:
    """A skeleton as `make_line` would leave it, None where that cannot be told. What launchers put in front stays."""
    if b"\x1b" in bare:
        bare = _COLOUR.sub(b"", bare)
    if b"\x1b" in bare or b"\0" in bare or b"\x08" in bare or b'{"log":"' in bare:
        return None
    return bare
