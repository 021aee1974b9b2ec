"""The page of `man analyze`, from the commands' own declarations: `python -m analyzer.manual docs/man/analyze.1` writes it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from analyzer.cli import HELP
from analyzer.commands import app
from analyzer.errors import OK
from analyzer.shells import commands
from analyzer.version import RELEASED, VERSION


def man() -> str:
    """The page of `man analyze`, written in the macros that every man knows."""
    return "\n".join(_man()) + "\n"


def _man() -> Iterator[str]:
    yield f'.TH ANALYZE 1 "{RELEASED}" "nanalyze {VERSION}" "User Commands"'
    yield ".SH NAME\nanalyze \\- why did this training run die?"
    yield ".SH SYNOPSIS\n.B analyze\n[OPTIONS] PATH...\n.br\n.B analyze\nCOMMAND [OPTIONS] ..."
    yield ".SH DESCRIPTION\nReads what a deep-learning run left behind (logs, event files, launchers' output),"
    yield "finds the symptoms with their first step and line, weighs the known root causes and says what to do."
    yield "Offline and deterministic."
    for one in commands(app):
        yield f".SH {'OPTIONS' if one.is_main else f'ANALYZE {one.name.upper()}'}"
        if not one.is_main:
            yield f"{_roff(one.help)}\n.PP\n.B analyze {one.name}\n{_roff(one.arguments)}"
        for option in one.options:
            value = f" {_roff(option.metavar)}" if option.takes else ""
            yield f".TP\n.B {_roff(', '.join(option.names))}{value}\n{_roff(option.help)}"
    codes = HELP[HELP.index("Exit codes: ") + len("Exit codes: ") :].strip()
    yield f".SH EXIT STATUS\n{_roff(codes.replace(' · ', ', '))}"
    yield ".SH ENVIRONMENT\n.TP\n.B NO_COLOR\nno colour in the terminal\n.TP\n.B XDG_CACHE_HOME\nwhere scans keep what they know"


def _roff(text: str) -> str:
    safe = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    return "\\&" + safe if safe[:1] in (".", "'") else safe


def main(arguments: list[str]) -> int:
    """Writes the man page to the file named, or prints it."""
    if arguments:
        Path(arguments[0]).write_text(man(), "utf-8")
    else:
        sys.stdout.write(man())
    return OK


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
