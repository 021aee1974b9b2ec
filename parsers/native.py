"""The compiled extension, where there is one.

Everything works without it: it is left out where it could not be built (no compiler) and where `NANALYZE_PURE` is set.
"""

from __future__ import annotations

import os
from functools import cache
from types import ModuleType


@cache
def extension() -> ModuleType | None:
    """The module `parsers._lines` (see its stub), or None."""
    if os.environ.get("NANALYZE_PURE"):
        return None
    try:
        from parsers import _lines
    except ImportError:
        return None
    return _lines
