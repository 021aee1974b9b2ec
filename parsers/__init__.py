"""Bytes of logs → `Run`: what was logged, what happened, in what environment. Judges nothing."""

from parsers.model import Environment, Event, Fact, Problem, Row, Run, Series, SourceFile, SourceRef, Tick
from parsers.read import read
from parsers.signature import Signature
from parsers.source import UnreadableError

__all__ = [
    "Environment", "Event", "Fact", "Problem", "Row", "Run", "Series", "Signature", "SourceFile", "SourceRef", "Tick",
    "UnreadableError", "read",
]  # fmt: skip
