"""A diagnosis in one of its forms, whoever asks: the command line, watching, Python. What is passed on is redacted."""

from __future__ import annotations

from typing import Final, Literal

from analyzer.model import Diagnosis

Form = Literal["html", "json", "markdown"]
BY_SUFFIX: Final[dict[str, Form]] = {
    ".html": "html", ".htm": "html", ".json": "json", ".md": "markdown", ".markdown": "markdown",
}  # fmt: skip
"""The end of a file's name → the form that is meant."""


def shared(diagnosis: Diagnosis, form: Form, lang: str = "en", redacts: bool = True, with_bundle: bool = True) -> str:
    """The text of a form that is made to be passed on.

    `redacts`: hide home paths, hosts, addresses and tokens. `with_bundle`: an HTML page holds the chart library itself.
    """
    from analyzer.output.redact import redact

    shown, hidden = redact(diagnosis) if redacts else (diagnosis, None)
    if form == "json":
        from analyzer.output import document

        return document.dumps(shown)
    if form == "markdown":
        from analyzer.output import markdown

        return markdown.render(shown, lang=lang)
    from analyzer.output import html

    return html.render(shown, lang=lang, redacted=hidden, shared_bundle=not with_bundle)
