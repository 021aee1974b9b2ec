"""The same rules inside the training process: callbacks for transformers' Trainer and for Lightning, a monitor for loops.

    from analyzer.callbacks import TransformersCallback, LightningCallback, Monitor

Neither framework is a dependency: each is imported when its callback is first asked for.
"""

from __future__ import annotations

import importlib
from typing import Any, Final

_HOMES: Final = {
    "Monitor": "analyzer.callbacks.monitor",
    "CriticalFindingError": "analyzer.callbacks.monitor",
    "TransformersCallback": "analyzer.callbacks.transformers_callback",
    "LightningCallback": "analyzer.callbacks.lightning_callback",
}

__all__ = ["CriticalFindingError", "LightningCallback", "Monitor", "TransformersCallback"]


def __getattr__(name: str) -> Any:
    """A callback, its framework imported with it. Raises ImportError where that is not installed."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'analyzer.callbacks' has no attribute {name!r}")
