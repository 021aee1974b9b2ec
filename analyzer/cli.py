"""Entry point of `analyze`: answers `--help` and `--version` at once, and puts the main job's name before a bare path.

Imports nothing at the top but `gc`, `os` and `sys`: typer alone would cost three times what the help may take.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import Final

MAIN: Final = "diagnose"
"""The main job's own name: `analyze run.log` is `analyze diagnose run.log`."""

COMMANDS: Final = frozenset({MAIN, "scan", "audit", "compare", "watch", "run", "explain", "rules", "causes", "formats", "render",
                             "doctor", "demo", "mcp", "completion"})  # fmt: skip

COLLECTIONS: Final = (20_000, 50, 50)
"""How often garbage is looked for: a log's records form no cycles, and looking for some took a twentieth of the time."""

HELP: Final = """\
Usage: analyze [OPTIONS] PATH...          diagnose one run
       analyze COMMAND [OPTIONS] ...

Why did this training run die? PATH is a log, an event file, the folder of a run, or - for standard input.
Several runs (a folder of runs) give an overview.

Options:
  --format terminal|json|markdown|html  form of the report (default: terminal, or by the suffix of -o)
  -o, --output FILE                     write the report here: .html, .json or .md
  --html FILE                           write the HTML report besides the summary
  --fail-on critical|warning|info|never exit with 1 at a finding of this severity or worse (default: never)
  --only RULE, --ignore RULE            run only this rule, leave this rule out (repeatable)
  --config FILE|off                     project file: ignored rules with reasons, severities, thresholds (default: the nearest)
  --rules DIR                           run the rules of this folder too (repeatable)
  --redact / --no-redact                hide paths, hosts and tokens in shared formats (default: hide)
  --lang en|zh                          language of the report
  --fact NAME=VALUE                     state what the log does not say, e.g. deepspeed=0.14.0 (repeatable)
  --env FILE, --python PATH             take versions from a pip freeze, lock file, ds_report; from an interpreter
  --fix-dir DIR                         write the patched ds_config and arguments, and a diff, here
  --strict                              exit with 4 when a rule or reader of ours fails
  --version                             print the version

Commands (analyze COMMAND --help tells more):
  scan DIR...        every run below some folders: a table, JSON Lines, Parquet, a page a run
  compare GOOD BAD   what differs between two runs, and the step where their curves part; of a folder of runs:
                     which setting separates the failed from the healthy
  audit [PATH...]    before a run: known causes that requirements, a lock file, a ds_config are exposed to;
                     --project mgm|llava|... compares with what a project pins
  watch PATH...      follow growing logs: findings as they come, alarms, stopping
  run -- CMD ...     run a command unchanged, watch it, leave a report if it fails
  explain ID         the page of a rule or a cause
  rules              what can be found
  causes             the known causes
  formats            what can be read
  render FILE.json   draw a saved result document again
  demo               diagnose a real failed run that ships with the tool
  doctor             look at the installation itself
  mcp                serve coding agents (extra: mcp)
  completion SHELL   the completion script of bash, zsh or fish

Exit codes: 0 judged · 1 a finding at --fail-on or worse · 2 wrong usage · 3 nothing to judge · 4 our own failure (--strict)
"""


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line `arguments` (default: the process's own) and exits."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that knows no `→` shows `?`, and the report still comes
    gc.set_threshold(*COLLECTIONS)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # no matrices here: NumPy's threads would only wait, and busily
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words in (["--help"], ["-h"]):
        _print(HELP)
        raise SystemExit(0 if words else 2)
    if words == ["--version"]:
        from analyzer.version import VERSION

        _print(f"nanalyze {VERSION}\n")
        raise SystemExit(0)
    if words[0] not in COMMANDS:
        words = [MAIN, *words]
    from analyzer.job import guarded

    raise SystemExit(guarded(lambda: _command(words)))


def _command(words: list[str]) -> None:
    """The command of these words: of the main job, whose words are plain, typer is not even imported."""
    if words[0] == MAIN:
        from analyzer import job
        from analyzer.words import request

        asked = request(words[1:])
        if asked is not None:
            raise SystemExit(job.run(asked))
    _typer(words)


def _print(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        import os

        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if not isinstance(error, BrokenPipeError):
            sys.stderr.write(f"analyze: this cannot be written ({error.strerror}).\n")
            raise SystemExit(2) from None


def _typer(words: list[str]) -> None:
    from analyzer.commands import app

    try:
        code = app(words, prog_name="analyze", standalone_mode=False)
    except Exception as error:
        message = getattr(error, "format_message", None)  # typer's usage errors, wherever it keeps their class
        if message is None:
            if type(error).__name__ == "Abort":  # what typer makes of Ctrl-C
                raise KeyboardInterrupt from None
            raise
        from analyzer.errors import UsageError

        where = "analyze --help" if words[0] == MAIN else f"analyze {words[0]} --help"
        sentence = str(message()).replace("Value error, ", "").rstrip(".").strip()
        raise UsageError(f"{sentence}: `{where}` shows what there is.") from None
    raise SystemExit(code if isinstance(code, int) else 0)
