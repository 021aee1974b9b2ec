"""What the commands do: read, judge, draw, write, and say with the exit code how it went (CONTRACT: exit codes)."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.errors import FOUND, NOTHING, OK, OURS, USAGE, AnalyzerError, UsageError
from analyzer.writing import exit_code, write

if TYPE_CHECKING:
    from analyzer.compare import Comparison
    from analyzer.diagnosis import Options
    from analyzer.model import Diagnosis
    from analyzer.output.redact import Redaction
    from analyzer.scan import Extras
    from parsers import Fact
    from parsers.discover import RunFiles


@dataclass(frozen=True, slots=True)
class Given:
    """What the user states beside the log: `--fact`, `--env` and `--python` as typed."""

    facts: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    python: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asked for on the command line."""

    paths: tuple[str, ...]
    format: str | None = None
    output: Path | None = None
    html: Path | None = None
    fail_on: str = "never"
    only: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    redact: bool = True
    lang: str = "en"
    strict: bool = False
    jobs: int = 0
    given: Given = Given()
    fix_dir: Path | None = None
    config: str | None = None
    rules: tuple[Path, ...] = ()

    @property
    def form(self) -> str:
        """The report's form: as asked, else by the output's suffix, else terminal."""
        if self.format:
            return self.format
        if self.output is None:
            return "terminal"
        from analyzer.output.forms import BY_SUFFIX

        suffix = self.output.suffix.lower()
        form = "terminal" if suffix == ".txt" else BY_SUFFIX.get(suffix)
        if form is None:
            raise UsageError(f"cannot tell a format from {self.output}: end it in .html, .json or .md, or add --format.")
        return form

    @property
    def options(self) -> Options:
        """What `diagnose` needs to know. Raises UsageError for rules that do not exist."""
        from analyzer import own_rules, project, rule
        from analyzer.diagnosis import Options

        own, broken = own_rules.load_folders(self.rules, self.strict)
        rules = (*rule.load(), *own)
        known = {one.id for one in rules} | {failure.id for failure in broken}
        for name in (*self.only, *self.ignore):
            if name not in known:
                raise UsageError(f"there is no rule {name!r}: `analyze rules` lists them.")
        wishes = project.chosen(self.config, rules)
        return Options(self.only, self.ignore, self.stated(), self.strict, wishes, self.rules)

    def stated(self) -> tuple[Fact, ...]:
        """The facts that the user states."""
        if self.given == Given():
            return ()
        from analyzer import given

        return given.facts(self.given.facts, self.given.files, self.given.python)


def guarded(work: Callable[[], object]) -> int:
    """Runs a command and turns what went wrong into one sentence on standard error and an exit code."""
    from parsers.source import UnreadableError

    _end_on_sigterm()
    try:
        work()
        sys.stdout.flush()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else OK if end.code is None else USAGE
    except AnalyzerError as error:
        _complain(str(error))
        return error.code
    except UnreadableError as error:
        _complain(str(error))
        return NOTHING
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `analyze … | head`: the reader has seen enough
        _let_go()
        return OK
    except OSError as error:
        if error.errno == errno.EIO:
            _complain(f"a disk or a terminal failed ({error.strerror}): nothing can be judged.")
            return NOTHING
        if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
            return _ours(error)
        _let_go()
        _complain(f"the report cannot be written ({error.strerror}): make room, or send it elsewhere.")
        return USAGE
    except MemoryError:
        _complain("out of memory: name fewer files, or run it where more memory is free.")
        return NOTHING
    except Exception as error:
        return _ours(error)
    return OK


def _ours(error: Exception) -> int:
    import traceback

    traceback.print_exception(error)
    _complain(f"internal error ({type(error).__name__}): please report the lines above.")
    return OURS


def _complain(sentence: str) -> None:
    """One line on standard error: a name in it may hold anything."""
    from analyzer.output.plain import neutral

    with contextlib.suppress(OSError, ValueError):
        print(f"analyze: {neutral(sentence)}", file=sys.stderr)


def _let_go() -> None:
    """What is still to be written has no place to go to."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _end_on_sigterm() -> None:
    """SIGTERM ends us as an exception does, so that temporary files go; a program that has its own handler keeps it."""
    import signal
    import threading

    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminated)


def _terminated(number: int, _: object) -> None:
    raise SystemExit(128 + number)


def run(request: Request) -> int:
    """The main job: one run → a report; several runs → the batch overview."""
    from analyzer.diagnosis import examined
    from parsers.discover import find_runs

    form = request.form
    if request.output and request.format and request.html == request.output:
        raise UsageError("--html and --output name the same file: give them different names.")
    for place in request.paths:
        if "://" in place and not os.path.lexists(place):
            raise UsageError(f"{place} is a URL: `analyze scan {place}` reads those.")
    runs = list(find_runs(request.paths))
    if not runs:
        places = " ".join(request.paths)
        raise AnalyzerError(f"no log, event file or Trainer state in {places}: name the file itself.", NOTHING)
    if len(runs) > 1:
        if request.fix_dir:
            raise UsageError(f"--fix-dir mends one run, and {len(runs)} were found: name one of them.")
        return _batch(request, runs)
    _, diagnosis = examined(runs[0], request.options)
    _deliver(diagnosis, request, form)
    if request.fix_dir:
        from analyzer import fix

        for path in fix.write_fixes(diagnosis, request.fix_dir, request.lang):
            print(f"{path}", file=sys.stderr)
    return exit_code(diagnosis, request.fail_on)


def run_scan(request: Request, extras: Extras) -> int:
    """Every run below some folders."""
    from analyzer import scan

    if request.format not in (None, "terminal", "json", "jsonl"):
        raise UsageError(f"scan has no format {request.format!r}: use terminal, json or jsonl, or --html DIR for pages.")
    if extras.engine not in ("local", "ray"):
        raise UsageError(f"there is no engine {extras.engine!r}: use local or ray.")
    runs = scan.find(request.paths, extras)
    if not runs:
        raise AnalyzerError(f"no run below {' '.join(request.paths)}: nothing that looks like a log or an event file.", NOTHING)
    return _batch(request, runs, extras)


def _batch(request: Request, runs: Sequence[RunFiles], extras: Extras | None = None) -> int:
    from analyzer import scan

    form = request.format or ("jsonl" if request.output and request.output.suffix == ".jsonl" else "terminal")
    if form not in ("terminal", "json", "jsonl"):
        raise UsageError(f"several runs cannot be one {form} report: use `analyze scan … --html DIR`, or name one run.")
    return scan.batch(scan.Batch(tuple(runs), form, request.output, request.html, request.fail_on, request.options,
                                 request.redact, request.lang, request.jobs, extras or scan.Extras()))  # fmt: skip


def run_audit(request: Request, project: str) -> int:
    """Requirements, lock files, ds_config or a log's environment against the known causes."""
    from analyzer.audit import audit
    from analyzer.output import audit_report

    form = request.format or ("sarif" if request.output and request.output.suffix == ".sarif" else request.form)
    if form not in ("terminal", "json", "sarif", "markdown", "codequality"):
        raise UsageError(f"audit has no format {form!r}: use terminal, json, sarif, markdown or codequality.")
    found = audit(request.paths, request.stated(), project)
    _send(audit_report.render(found, form), request)
    return FOUND if request.fail_on != "never" and found.is_loud(request.fail_on) else OK  # type: ignore[arg-type]


def run_compare(request: Request) -> int:
    """Two runs side by side; a directory of runs, or more than two: what separates the failed from the healthy."""
    from analyzer.compare import compare, is_pair, side

    if not is_pair(request.paths):
        return _compare_many(request)

    good, bad = (side(path, request.options) for path in request.paths)
    for one in (good, bad):
        if not sum(file.bytes for file in one.run.files):
            raise AnalyzerError(_unjudged(one.diagnosis), NOTHING)
    found = compare(good, bad, request.options)
    form = request.form
    redacted = None
    if request.redact and (form != "terminal" or request.html):
        from analyzer.output.comparison import redacted as without_names

        clean, redacted = without_names(found)
    else:
        clean = found
    _send(_compared(found if form == "terminal" else clean, form, request.lang, redacted), request)
    if request.html:
        write(request.html, _compared(clean, "html", request.lang, redacted))
        print(f"{request.html}", file=sys.stderr)
    return OK


def _compared(found: Comparison, form: str, lang: str, redacted: list[Redaction] | None) -> str:
    if form == "html":
        from analyzer.output import comparison_html

        return comparison_html.render(found, lang, redacted)
    if form == "json":
        from analyzer.output import comparison_document

        return comparison_document.dumps(found)
    from analyzer.output import comparison

    return comparison.render(found, form, lang)


def _compare_many(request: Request) -> int:
    from analyzer.compare import sides
    from analyzer.output import separation
    from analyzer.separate import separate

    runs = sides(request.paths, request.options)
    found = separate([(one.run.environment, one.diagnosis) for one in runs])
    if not found.failed or not found.healthy:
        raise AnalyzerError(
            f"{len(found.failed)} failed and {len(found.healthy)} healthy runs: a comparison needs at least one of each.", NOTHING
        )
    is_shared = request.redact and (request.form != "terminal" or request.html)
    clean, taken = separation.redacted(found) if is_shared else (found, None)
    shown = found if request.form == "terminal" else clean
    _send(separation.render(shown, request.form, request.lang, taken), request)
    if request.html:
        write(request.html, separation.render(clean, "html", request.lang, taken))
        print(f"{request.html}", file=sys.stderr)
    return OK


def _send(text: str, request: Request) -> None:
    """A report to its file or to standard output."""
    if request.output:
        write(request.output, text)
        print(f"{request.output}", file=sys.stderr)
    else:
        sys.stdout.write(text if text.endswith("\n") else text + "\n")


def run_render(request: Request) -> int:
    """A saved result document → a report."""
    from analyzer.output import document
    from parsers.small_files import content

    path = Path(request.paths[0])
    try:
        text = sys.stdin.read() if str(path) == "-" else content(path).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise AnalyzerError(
            f"{path} cannot be read ({reason}): name a file that `analyze -o report.json` wrote.", NOTHING
        ) from None
    try:
        diagnosis = document.loads(text)
    except document.DocumentError as error:
        raise AnalyzerError(f"{path}: {error}", NOTHING) from None
    _deliver(diagnosis, request, request.form)
    return OK


def _deliver(diagnosis: Diagnosis, request: Request, form: str) -> None:
    if diagnosis.verdict == "unjudged" and not diagnosis.findings:
        sys.stderr.write(f"analyze: {_unjudged(diagnosis)}\n")
    _send(drawn(diagnosis, form, request), request)
    if request.html:
        write(request.html, drawn(diagnosis, "html", request))
        print(f"{request.html}", file=sys.stderr)


def _unjudged(diagnosis: Diagnosis) -> str:
    source = diagnosis.run.source
    if not sum(file.bytes for file in diagnosis.run.files):
        return f"{source} is empty: nothing can be judged."
    return f"no metric and no event was recognised in {source}: nothing can be judged (`analyze formats` lists what is read)."


def drawn(diagnosis: Diagnosis, form: str, request: Request) -> str:
    """The report in one form; what is meant to be passed on is redacted unless the user said no."""
    if form in ("html", "markdown", "json"):
        from analyzer.output.forms import shared

        return shared(diagnosis, form, request.lang, request.redact)  # type: ignore[arg-type]
    from analyzer.output import terminal

    return terminal.render(diagnosis, color=None if request.output is None else False, lang=request.lang)
