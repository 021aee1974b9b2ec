"""The version, without importing anything."""

from typing import Final

VERSION: Final = "0.1.0"

RELEASED: Final = "2026-11-24"
"""The day on which this version was cut, as CITATION.cff and CHANGELOG.md say."""
