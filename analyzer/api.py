"""The Python face: `from analyzer import diagnose` → a `Diagnosis` that notebooks, scripts and CI can use.

    from analyzer import diagnose

    report = diagnose("run.log", facts={"deepspeed": "0.14.0"})
    report.verdict                      # "failed"
    report.findings[0].first_step       # 34
    report.causes[0].id                 # what `analyze explain` takes
    report.metrics.filter(metric="loss")  # polars, one row a sample
    report.to_markdown()                # to paste into an issue

`analyzer.diagnosis` does the work and draws nothing; this module adds what a person wants from the result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer import diagnosis as work
from analyzer import model
from analyzer.diagnosis import Options
from analyzer.output.forms import shared
from parsers import Run

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class Diagnosis(model.Diagnosis):
    """What `diagnose` found: the result document, the run it was read from, and its forms.

    Every form that is meant to be passed on hides home paths, hosts, addresses and tokens unless `redact=False`.
    """

    trail: Run | None = None
    """The run as it was read: series, events, environment. None for a saved result that was loaded again."""

    @property
    def metrics(self) -> pl.DataFrame:
        """All samples as one tidy frame, a row a sample.

        Columns: `step` i64 (global optimizer steps), `metric` str (canonical name: loss, grad_norm, loss_scale, lr, …),
        `name` str (as logged), `value` f64 (non-finite values kept), `time` f64 (seconds since the epoch, null where
        unknown), `rank` i32, `segment` i32 (restarts), `reader` str, `file` str, `line` i64.
        Raises ValueError where only a saved result is at hand: its curves are thinned for drawing.
        """
        if self.trail is None:
            raise ValueError("a saved result holds no samples: diagnose the log itself to get its metrics.")
        return self.trail.frame()

    def to_markdown(self, lang: str = "en", *, redact: bool = True) -> str:
        """The report as Markdown, short, with folded details: made to be pasted into an issue."""
        return shared(self.document, "markdown", lang, redact)

    def to_html(self, lang: str = "en", *, redact: bool = True) -> str:
        """The post-mortem as one self-contained HTML page."""
        return shared(self.document, "html", lang, redact)

    def to_json(self, *, redact: bool = True) -> str:
        """The result document (its JSON Schema: docs/schema)."""
        return shared(self.document, "json", redacts=redact)

    def __str__(self) -> str:
        """The summary that the terminal shows, 100 columns wide and without colour."""
        from analyzer.output import terminal

        return terminal.render(self, width=100)

    def _repr_html_(self) -> str:
        """What a notebook shows: the post-mortem with its static picture, in a frame of its own so that its style stays its own.

        No script runs in the frame: a saved notebook stays small and safe. `to_html()` has the charts.
        """
        from html import escape

        page = shared(self.document, "html", with_bundle=False)  # the chart library alone has 5 MB
        return (
            f'<iframe sandbox srcdoc="{escape(page, quote=True)}" title="nanalyze" '
            'style="width: 100%; height: 720px; border: 1px solid #8888; border-radius: 6px"></iframe>'
        )

    @property
    def document(self) -> model.Diagnosis:
        """The result alone, without the run it was read from."""
        return model.Diagnosis(**{one.name: getattr(self, one.name) for one in fields(model.Diagnosis)})


def diagnose(
    paths: Sequence[str | PathLike[str]] | str | PathLike[str],
    options: Options | None = None,
    *,
    facts: Mapping[str, object] | None = None,
) -> Diagnosis:
    """Reads the files of one run (a log, an event file, a run's folder, several files of it) and judges it.

    The result is the one of `analyze` with the same paths: a log brings along its rotated pieces and, where it is the only
    log of its folder, the ds_config and freeze beside it. Several files that do not look like one run are read as one.

    `facts` states what the log does not say, e.g. `{"deepspeed": "0.14.0", "overlap_comm": True}`, and is added to the
    facts of `options`. Raises parsers.UnreadableError where nothing can be opened or a folder holds several runs, and
    analyzer.errors.UsageError for a fact that cannot be understood. A run in which nothing was recognised has the
    verdict `unjudged`.
    """
    from dataclasses import replace

    options = options or Options()
    if facts:
        from analyzer.given import facts as stated

        words = tuple(f"{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in facts.items())
        options = replace(options, facts=(*options.facts, *stated(words, (), None)))
    several = [Path(paths)] if isinstance(paths, str | PathLike) else [Path(path) for path in paths]
    trail, found = work.examined(work.run_of(several), options)
    return Diagnosis(**{one.name: getattr(found, one.name) for one in fields(found)}, trail=trail)


__all__ = ["Diagnosis", "Options", "diagnose"]
