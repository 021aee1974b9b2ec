"""Reads literal log text through the whole of `parsers`, as a user's file is read."""

from __future__ import annotations

from itertools import pairwise

from parsers.assemble import assemble
from parsers.line import Line, make_line
from parsers.model import Environment, Event, Fact, Problem, Record, Row, Run, Tick, Value
from parsers.read import make_router
from parsers.registry import text_formats
from parsers.scanner import Scanner
from parsers.source import Cutter
from parsers.table import Tables

FILE = "run.log"


def records(data: bytes, chunks: tuple[int, ...] = ()) -> list[tuple[str, Record]]:
    """What all readers find in these bytes, fed in chunks that end at the given offsets."""
    cutter, scanner = Cutter(), Scanner(make_router(), FILE, strict=True)
    found: list[tuple[str, Record]] = []
    bounds = [0, *sorted(chunks), len(data)]
    for low, high in pairwise(bounds):
        for block in cutter.feed(data[low:high]):
            found += scanner.feed(block)
    for block in cutter.close():
        found += scanner.feed(block)
    return [*found, *scanner.close()]


def run_of(text: str | bytes, chunks: tuple[int, ...] = ()) -> Run:
    """The run that this log text makes."""
    data = text.encode() if isinstance(text, str) else text
    tables, events, facts, problems, readers = Tables(FILE), list[Event](), list[Fact](), list[Problem](), set[str]()
    for reader, record in records(data, chunks):
        if isinstance(record, Row | Tick):
            tables.add(reader, record)
        elif isinstance(record, Event):
            if record.kind == "run-start":
                tables.mark_start()
            events.append(record)
        elif isinstance(record, Fact):
            facts.append(record)
        else:
            problems.append(record)
        readers.add(reader)
    tables.drop_fallbacks({form.name for form in text_formats() if form.is_fallback})
    return assemble(FILE, (), readers, [tables], events, facts, problems, ())


def points(run: Run, metric: str) -> list[tuple[int, float]]:
    """(step, value) of a metric's preferred series, rounded so that NaN can be told by `nan_as` below."""
    series = run.series(metric)
    return list(zip(series.steps, series.values, strict=True)) if series else []


def steps(run: Run, metric: str) -> list[int]:
    """The steps of a metric's preferred series."""
    series = run.series(metric)
    return list(series.steps) if series else []


def facts_of(text: str) -> dict[str, Value]:
    """key → value of the best fact of each key."""
    environment: Environment = run_of(text).environment
    return {fact.key: environment.value(fact.key) for fact in environment}


def line(text: str, number: int = 1) -> Line:
    """One line as a reader gets it."""
    return make_line(FILE, number, text.encode())
