"""Batch: every run of a tree, from the cache or from its files; rows appear as they come, and one bad run ends nothing."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from analyzer.batch import cache as caches
from analyzer.batch import plan
from analyzer.batch.card import Card
from analyzer.batch.request import Batch, Extras
from analyzer.batch.sinks import Sinks
from analyzer.batch.task import Work
from analyzer.errors import FOUND, NOTHING, OK, UsageError

if TYPE_CHECKING:
    from parsers.discover import RunFiles

INTERRUPTED: Final = 130
_SPANS: Final = {"m": 60, "h": 3600, "d": 86400, "w": 604800}


def find(paths: Sequence[str], extras: Extras) -> tuple[RunFiles, ...]:
    """The runs below some folders and URLs, as the extras choose them. Says which folders could not be read."""
    from analyzer.batch import remote
    from parsers import discover
    from parsers.tree import Choice, PatternError

    begin = since(extras.since)
    choice = Choice(extras.include, extras.exclude, extras.follow)
    runs = [run for url in paths if remote.is_url(url) for run in remote.find_runs(url, choice, begin)]
    places = [path for path in paths if not remote.is_url(path)]
    try:
        runs += discover.find_runs(places, choice) if places else []
    except PatternError as error:
        raise UsageError(str(error)) from None
    for folder in choice.unreadable[:5]:
        _say(f"{folder} cannot be read: its runs are left out (check its permissions).")
    if len(choice.unreadable) > 5:
        _say(f"{len(choice.unreadable) - 5} more folders cannot be read.")
    return tuple(run for run in runs if _is_recent(run, begin))


def since(text: str) -> float:
    """`7d`, `12h` or `2026-11-01` → seconds since the epoch, 0 for ''. Raises UsageError for anything else."""
    if not text:
        return 0.0
    span = re.fullmatch(r"(\d{1,6})([mhdw])", text)
    if span:
        return time.time() - int(span[1]) * _SPANS[span[2]]
    from datetime import datetime

    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise UsageError(f"--since {text} is no time: give 12h, 7d or 2026-11-01.") from None


def _is_recent(run: RunFiles, begin: float) -> bool:
    import os

    if not begin or run.marks:
        return True
    times = [os.stat(file).st_mtime for file in run.files if os.path.exists(file)]
    return max(times, default=0.0) >= begin


def batch(job: Batch) -> int:
    """Scans, writes what was asked for, and returns the exit code."""
    with ExitStack() as stack:
        sinks = Sinks(job, stack)
        is_stopped = False
        try:
            with caches.Cache(caches.path_of(job.extras.cache), _knowledge(job), _say) as cache:
                for result in plan.results(job, _work(job, sinks), cache, sinks.gauge):
                    sinks.add(result)
        except KeyboardInterrupt:
            is_stopped = True
            sinks.gauge.close()
            sinks.add_waiting()
            left = "" if job.extras.cache == "off" else " The next scan goes on from there."
            _say(f"stopped after {len(sinks.cards)} of {len(job.runs)} runs; what was done is shown.{left}")
        sinks.close()
    return INTERRUPTED if is_stopped else _exit_code(sinks.cards, job.fail_on)


def _work(job: Batch, sinks: Sinks) -> Work:
    return Work(
        job.options, job.extras.timeout, sinks.has_lines, job.redact, sinks.pages,
        job.extras.cache != "off", bool(sinks.tables),
    )  # fmt: skip


def _knowledge(job: Batch) -> bytes:
    return caches.knowledge(job.options) if job.extras.cache != "off" else b""


def _exit_code(cards: Sequence[Card], fail_on: str) -> int:
    if any(card.loud(fail_on) for card in cards):
        return FOUND
    judged = [card for card in cards if not card.error and (card.verdict != "unjudged" or card.findings)]
    return OK if judged or not cards else NOTHING


def _say(sentence: str) -> None:
    from analyzer.output.plain import neutral

    print(f"analyze: {neutral(sentence)}", file=sys.stderr)


__all__ = ["Batch", "Extras", "batch", "find", "since"]
