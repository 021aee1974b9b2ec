"""Everything that a batch writes: the table, documents, pages, tables, reports for CI."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.batch import overview
from analyzer.batch.card import Card
from analyzer.batch.progress import Progress
from analyzer.batch.request import Batch
from analyzer.batch.stream import Stream
from analyzer.batch.task import Pages, Result
from analyzer.errors import UsageError
from analyzer.writing import write

if TYPE_CHECKING:
    from analyzer.batch.tables import Tables
    from analyzer.output.index import Row


class _Gauge:
    """How far the scan is, and the results that are there before those of the runs in front of them."""

    def __init__(self) -> None:
        self.waiting: dict[str, Result] = {}
        self._failed = 0
        self._progress: Progress | None = None

    def begin(self, total: int, known: int) -> None:
        """As of `plan.Gauge`."""
        self._progress = Progress(total, known)

    def pass_known(self) -> None:
        """Likewise."""
        if self._progress:
            self._progress.pass_known()

    def add(self, result: Result) -> None:
        """Likewise."""
        self.waiting[result.files.root] = result
        self._failed += result.card.word == "failed"
        if self._progress:
            self._progress.add(self._failed)

    def close(self) -> None:
        """The end."""
        if self._progress:
            self._progress.close()
        self._progress = None


class Sinks:
    """Everything that is written, told run by run."""

    def __init__(self, job: Batch, stack: ExitStack) -> None:
        from analyzer.batch.remote import folder_for
        from analyzer.output import redact

        self._job = job
        self._hide = redact.Batch() if job.redact else None
        self.cards: list[Card] = []
        self.rows: list[Row] = []
        self.gauge = _Gauge()
        self.has_lines = job.form != "terminal"
        html = job.extras.html or (str(job.html) if job.html else "")
        self.pages = Pages(_folder(stack.enter_context(folder_for(html))), job.lang, job.redact) if html else None
        self._output = self._target(job, stack)
        self._stream = Stream(self._output, job.form == "json") if self.has_lines else None
        if self._stream:
            stack.callback(self._stream.abandon)
        self.tables: Tables | None = self._tables(job, stack) if job.extras.parquet else None
        if self.pages:
            self._library(self.pages)

    def _target(self, job: Batch, stack: ExitStack) -> Path | None:
        from analyzer.batch.remote import folder_for, is_url

        if not is_url(job.extras.output):
            return job.output
        folder, _, name = job.extras.output.rpartition("/")
        return stack.enter_context(folder_for(folder)) / name

    def _tables(self, job: Batch, stack: ExitStack) -> Tables:
        from analyzer.batch.remote import folder_for, is_url
        from analyzer.batch.tables import Tables

        target = job.extras.parquet
        if is_url(target) and target.endswith(".parquet"):
            folder, _, name = target.rpartition("/")
            return Tables(stack.enter_context(folder_for(folder)) / name)
        return Tables(stack.enter_context(folder_for(target)))

    def _library(self, pages: Pages) -> None:
        from analyzer.output import html

        library = pages.folder / html.BUNDLE_NAME
        if not library.exists():
            write(library, html.bundle() or "")

    def add(self, result: Result) -> None:
        """One run more."""
        self.cards.append(result.card)
        self.gauge.waiting.pop(result.files.root, None)
        if self._stream:
            self._stream.add(result.line)
        if result.row:
            self.rows.append(result.row)
        if self.tables:
            card = self._hide(result.card) if self._hide else result.card
            self.tables.add(card, result.whole)

    def add_waiting(self) -> None:
        """The results that were there when the scan was stopped, behind a run that was not done."""
        for run in self._job.runs:
            if run.root in self.gauge.waiting:
                self.add(self.gauge.waiting[run.root])

    def close(self) -> None:
        """Writes what can only be written at the end."""
        job = self._job
        self.gauge.close()
        if self._stream:
            self._stream.close()
        else:
            self._say_table()
        if self.pages:
            from analyzer.output import html

            write(self.pages.folder / "index.html", html.render_index(self.rows, lang=job.lang))
        if self.tables:
            self.tables.close()
        if job.extras.junit or job.extras.code_quality or job.extras.sarif:
            self._reports([self._hide(card) for card in self.cards] if self._hide else self.cards)

    def _reports(self, cards: Sequence[Card]) -> None:
        """What a CI server reads."""
        extras = self._job.extras
        if extras.junit:
            from analyzer.batch import junit

            write(extras.junit, junit.render(cards, self._job.fail_on))
        if extras.code_quality:
            from analyzer.batch import code_quality

            write(extras.code_quality, code_quality.render(cards))
        if extras.sarif:
            from analyzer.batch import sarif

            write(extras.sarif, sarif.render(cards))

    def _say_table(self) -> None:
        from analyzer.output.plain import neutral

        text = "\n".join(map(neutral, overview.lines(self.cards))) + "\n"
        if self._output:
            write(self._output, text)
        else:
            sys.stdout.write(text)


def _folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be made a folder ({error.strerror}): choose another place for the pages.") from None
    return folder
