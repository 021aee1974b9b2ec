"""The commands' arguments, and nothing else: each command hands over to a module that does the work."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer


class Format(str, Enum):
    """Forms of the report."""

    terminal = "terminal"
    json = "json"
    markdown = "markdown"
    html = "html"


class FailOn(str, Enum):
    """Severities that make the exit code 1."""

    critical = "critical"
    warning = "warning"
    info = "info"
    never = "never"


class Lang(str, Enum):
    """Languages of the report."""

    en = "en"
    zh = "zh"


app = typer.Typer(
    name="analyze", no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
)

Paths = Annotated[list[str], typer.Argument(metavar="PATH...", help="log, event file, folder of a run, or - for standard input")]
FormatOption = Annotated[Format | None, typer.Option("--format", help="form of the report (terminal, or by -o's suffix)")]
OutputOption = Annotated[Path | None, typer.Option("--output", "-o", help="write the report here: .html, .json or .md")]
HtmlOption = Annotated[Path | None, typer.Option("--html", help="write the HTML report besides the summary")]
FailOption = Annotated[FailOn, typer.Option("--fail-on", help="exit with 1 at a finding of this severity or worse")]
OnlyOption = Annotated[list[str] | None, typer.Option("--only", metavar="RULE", help="run only this rule (repeatable)")]
IgnoreOption = Annotated[list[str] | None, typer.Option("--ignore", metavar="RULE", help="leave this rule out (repeatable)")]
RedactOption = Annotated[bool, typer.Option("--redact/--no-redact", help="hide paths, hosts, tokens in shared formats")]
LangOption = Annotated[Lang, typer.Option("--lang", help="language of the report")]
FactOption = Annotated[list[str] | None, typer.Option("--fact", metavar="NAME=VALUE", help="state a fact (repeatable)")]
EnvOption = Annotated[list[str] | None, typer.Option("--env", metavar="FILE", help="pip freeze, lock file, ds_report, ds_config")]
PythonOption = Annotated[str | None, typer.Option("--python", metavar="PATH", help="an interpreter: read its installed versions")]
FixOption = Annotated[Path | None, typer.Option("--fix-dir", metavar="DIR", help="write the patched configuration here")]
ConfigOption = Annotated[str | None, typer.Option("--config", metavar="FILE|off", help="project file (default: the nearest)")]
RulesOption = Annotated[list[Path] | None, typer.Option("--rules", metavar="DIR", help="folder of own rules (repeatable)")]
StrictOption = Annotated[bool, typer.Option("--strict", help="exit with 4 when a rule or reader of ours fails")]


@app.command("diagnose", hidden=True)
def diagnose_(
    paths: Paths,
    format_: FormatOption = None,
    output: OutputOption = None,
    html: HtmlOption = None,
    fail_on: FailOption = FailOn.never,
    only: OnlyOption = None,
    ignore: IgnoreOption = None,
    redact: RedactOption = True,
    lang: LangOption = Lang.en,
    strict: StrictOption = False,
    fact: FactOption = None,
    env: EnvOption = None,
    python: PythonOption = None,
    fix_dir: FixOption = None,
    config: ConfigOption = None,
    rules_: RulesOption = None,
) -> None:
    """Diagnoses one run (the main job): analyze PATH..."""
    from analyzer import job

    form = format_.value if format_ else None
    given = job.Given(tuple(fact or ()), tuple(env or ()), python)
    request = job.Request(tuple(paths), form, output, html, fail_on.value, tuple(only or ()), tuple(ignore or ()), redact,
                          lang.value, strict, given=given, fix_dir=fix_dir, config=config, rules=tuple(rules_ or ()))  # fmt: skip
    raise typer.Exit(job.run(request))


@app.command()
def scan(
    folders: Annotated[list[str], typer.Argument(metavar="DIR...", help="folders (or files) that hold runs")],
    format_: Annotated[str | None, typer.Option("--format", help="terminal (table), json or jsonl (a document a line)")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="write the table or the JSON Lines here")] = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="DIR", help="write an index and a page a run here")] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=0, help="processes (0: one a core)")] = 0,
    fail_on: FailOption = FailOn.never,
    only: OnlyOption = None,
    ignore: IgnoreOption = None,
    redact: RedactOption = True,
    lang: LangOption = Lang.en,
    strict: StrictOption = False,
    config: ConfigOption = None,
    rules_: RulesOption = None,
) -> None:
    """Diagnoses every run below some folders: a table, JSON Lines, a page a run."""
    from analyzer import job

    chosen = tuple(only or ()), tuple(ignore or ())
    request = job.Request(tuple(folders), format_, output, html, fail_on.value, *chosen, redact, lang.value, strict, jobs,
                          config=config, rules=tuple(rules_ or ()))  # fmt: skip
    raise typer.Exit(job.run_scan(request))


@app.command()
def audit(
    paths: Annotated[list[str] | None, typer.Argument(metavar="[PATH...]", help="requirements, lock file, log")] = None,
    format_: Annotated[str | None, typer.Option("--format", help="terminal, json, sarif or markdown")] = None,
    output: OutputOption = None,
    project: Annotated[str, typer.Option("--project", help="compare with what mgm, llava, … ask for")] = "",
    fail_on: FailOption = FailOn.never,
    fact: FactOption = None,
    env: EnvOption = None,
    python: PythonOption = None,
) -> None:
    """Names the known causes that an environment is exposed to, before any run."""
    from analyzer import job

    given = job.Given(tuple(fact or ()), tuple(env or ()), python)
    request = job.Request(tuple(paths or ()), format_, output, None, fail_on.value, given=given)
    raise typer.Exit(job.run_audit(request, project))


@app.command()
def explain(
    id_: Annotated[str, typer.Argument(metavar="ID", help="a rule or a cause, as reports name it")], rules_: RulesOption = None
) -> None:
    """Prints the page of a rule or a cause."""
    from analyzer import lists

    raise typer.Exit(lists.explain(id_, tuple(rules_ or ())))


@app.command()
def rules(rules_: RulesOption = None) -> None:
    """Lists the rules: what can be found."""
    from analyzer import lists

    raise typer.Exit(lists.rules(tuple(rules_ or ())))


@app.command()
def causes() -> None:
    """Lists the known causes."""
    from analyzer import lists

    raise typer.Exit(lists.causes())


@app.command()
def formats() -> None:
    """Lists the formats that can be read, with an example line each."""
    from analyzer import lists

    raise typer.Exit(lists.formats())


@app.command()
def render(
    document: Annotated[Path, typer.Argument(metavar="FILE.json", help="what `analyze --format json` wrote")],
    format_: FormatOption = None,
    output: OutputOption = None,
    html: HtmlOption = None,
    redact: RedactOption = True,
    lang: LangOption = Lang.en,
) -> None:
    """Draws a saved result document again, in any form."""
    from analyzer import job

    form = format_.value if format_ else None
    request = job.Request((str(document),), form, output, html, redact=redact, lang=lang.value)
    raise typer.Exit(job.run_render(request))
