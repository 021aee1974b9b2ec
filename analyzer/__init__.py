"""Why did this training run die? `diagnose(path)` → `Diagnosis`."""

from __future__ import annotations

import importlib.util
import os.path
from typing import TYPE_CHECKING, Any

from analyzer.version import VERSION as __version__

_SPEC = importlib.util.find_spec("parsers")
_PLACE = _SPEC.origin if _SPEC and _SPEC.origin else "nowhere"
if os.path.dirname(os.path.dirname(_PLACE)) != os.path.dirname(os.path.dirname(__file__)):
    raise ImportError(
        f"nanalyze's package 'parsers' is shadowed by {_PLACE}: "
        "install nanalyze in an environment of its own (pipx install nanalyze) or run it from another folder."
    )

if TYPE_CHECKING:
    from analyzer.api import Diagnosis, Options, diagnose
    from analyzer.model import Evidence, Finding, Match

_HOMES = {
    "diagnose": "analyzer.api", "Options": "analyzer.api", "Diagnosis": "analyzer.api",
    "Evidence": "analyzer.model", "Finding": "analyzer.model", "Match": "analyzer.model",
}  # fmt: skip

__all__ = ["Diagnosis", "Evidence", "Finding", "Match", "Options", "__version__", "diagnose"]


def __getattr__(name: str) -> Any:
    """Public names are imported when they are first asked for: `analyze --help` needs none of them."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'analyzer' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
