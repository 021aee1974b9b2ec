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
    folders: Annotated[list[str], typer.Argument(metavar="DIR...", help="folders, files or URLs (s3://…) that hold runs")],
    format_: Annotated[str | None, typer.Option("--format", help="terminal (table), json or jsonl (a document a line)")] = None,
    output: Annotated[str, typer.Option("--output", "-o", help="write the table or the JSON Lines here")] = "",
    html: Annotated[str, typer.Option("--html", metavar="DIR", help="write an index and a page a run here")] = "",
    parquet: Annotated[str, typer.Option("--parquet", metavar="DIR", help="write runs, findings, causes, metrics here")] = "",
    junit: Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="write a test a run as JUnit XML here")] = None,
    sarif: Annotated[Path | None, typer.Option("--sarif", metavar="FILE", help="write the findings as SARIF here")] = None,
    code_quality: Annotated[Path | None, typer.Option(metavar="FILE", help="write GitLab's code quality report here")] = None,
    include: Annotated[list[str] | None, typer.Option("--include", metavar="PATTERN", help="only such files")] = None,
    exclude: Annotated[list[str] | None, typer.Option("--exclude", metavar="PATTERN", help="no such files or folders")] = None,
    since: Annotated[str, typer.Option("--since", help="only runs written to since: 12h, 7d, 2026-11-01")] = "",
    follow: Annotated[bool, typer.Option("--follow-links", help="enter linked folders, each once")] = False,
    cache: Annotated[str, typer.Option("--cache", metavar="PATH|off", help="where results are kept between scans")] = "",
    resume: Annotated[bool, typer.Option("--resume/--no-resume", help="take unchanged runs from the cache")] = True,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=0, help="processes (0: one a core)")] = 0,
    timeout: Annotated[float, typer.Option("--timeout", min=0, help="seconds a run may take, 3 more a MB (0: any)")] = 300.0,
    engine: Annotated[str, typer.Option("--engine", help="local or ray")] = "local",
    address: Annotated[str, typer.Option("--address", help="the Ray cluster's address (none: one is started)")] = "",
    fail_on: FailOption = FailOn.never,
    only: OnlyOption = None,
    ignore: IgnoreOption = None,
    redact: RedactOption = True,
    lang: LangOption = Lang.en,
    strict: StrictOption = False,
    config: ConfigOption = None,
    rules_: RulesOption = None,
) -> None:
    """Diagnoses every run below some folders: a table, JSON Lines, Parquet, a page a run."""
    from analyzer import job
    from analyzer.scan import Extras

    extras = Extras(parquet, junit, sarif, html, output, cache, resume, engine, address, timeout, tuple(include or ()),
                    tuple(exclude or ()), since, follow, code_quality)  # fmt: skip
    chosen = tuple(only or ()), tuple(ignore or ())
    request = job.Request(tuple(folders), format_, Path(output) if output else None, None, fail_on.value, *chosen, redact,
                          lang.value, strict, jobs, config=config, rules=tuple(rules_ or ()))  # fmt: skip
    raise typer.Exit(job.run_scan(request, extras))


@app.command()
def audit(
    paths: Annotated[list[str] | None, typer.Argument(metavar="[PATH...]", help="requirements, lock file, log")] = None,
    format_: Annotated[str | None, typer.Option("--format", help="terminal, json, sarif, markdown, codequality")] = None,
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
def compare(
    paths: Annotated[
        list[str], typer.Argument(metavar="GOOD BAD | DIR", help="two runs; or a folder of failed and healthy runs")
    ],
    format_: FormatOption = None,
    output: OutputOption = None,
    html: HtmlOption = None,
    redact: RedactOption = True,
    lang: LangOption = Lang.en,
    fact: FactOption = None,
) -> None:
    """Shows what differs between two runs and where they part; of many, what separates failed from healthy."""
    from analyzer import job

    form, given = format_.value if format_ else None, job.Given(tuple(fact or ()))
    request = job.Request(tuple(paths), form, output, html, redact=redact, lang=lang.value, given=given)
    raise typer.Exit(job.run_compare(request))


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


@app.command()
def doctor(format_: Annotated[str, typer.Option("--format", help="terminal or json")] = "terminal") -> None:
    """Looks at the installation itself: versions, extras, cache, terminal, fonts."""
    from analyzer import doctor as work

    raise typer.Exit(work.run(format_))


@app.command()
def demo(
    html: Annotated[Path, typer.Option("--html", metavar="FILE", help="keep the report here")] = Path("nanalyze-demo.html"),
    browser: Annotated[bool, typer.Option("--open", help="open the report in the browser")] = False,
    lang: LangOption = Lang.en,
) -> None:
    """Diagnoses a real failed run that ships with the tool, and keeps the report."""
    from analyzer import demo as work

    raise typer.Exit(work.run(html, browser, lang.value))


@app.command()
def mcp() -> None:
    """Serves coding agents over the Model Context Protocol on standard input and output."""
    from analyzer import mcp_server

    raise typer.Exit(mcp_server.run())


@app.command()
def completion(shell: Annotated[str, typer.Argument(metavar="SHELL", help="bash, zsh or fish")]) -> None:
    """Prints the completion script of a shell."""
    from analyzer import shells

    raise typer.Exit(shells.completion(shell, app))


FindingOption = Annotated[str, typer.Option("--on-finding", metavar="CMD", help="run this, the document on its input; no shell")]
HookOption = Annotated[str, typer.Option("--webhook", metavar="URL", help="post a message: Slack, Feishu, DingTalk or JSON")]
HookFormOption = Annotated[str, typer.Option(help="auto, slack, feishu, dingtalk, json")]
StopFileOption = Annotated[Path | None, typer.Option(help="write this file, which the program looks for (needs --yes)")]
GraceOption = Annotated[float, typer.Option(min=0, help="seconds between SIGTERM and SIGKILL")]
YesOption = Annotated[bool, typer.Option("--yes", help="really stop; without it, say what would be done")]
SeverityOption = Annotated[str, typer.Option(help="act on findings of this severity or worse: critical, warning")]
OnRuleOption = Annotated[list[str] | None, typer.Option("--on-rule", metavar="RULE", help="act on this rule only (repeatable)")]
AfterOption = Annotated[int, typer.Option(min=0, metavar="N", help="act after N further records")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="no lines on standard error while it runs")]


@app.command()
def watch(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="growing logs, event files, folders of runs")],
    on_finding: FindingOption = "", webhook: HookOption = "", webhook_format: HookFormOption = "auto",
    stop_pid: Annotated[int | None, typer.Option(metavar="PID", help="stop this process (needs --yes)")] = None,
    stop_group: Annotated[int | None, typer.Option(metavar="PID", help="stop its whole process group (needs --yes)")] = None,
    stop_file: StopFileOption = None, grace: GraceOption = 30.0, yes: YesOption = False, severity: SeverityOption = "critical",
    on_rule: OnRuleOption = None, after: AfterOption = 0,
    max_wait: Annotated[float | None, typer.Option(min=0, metavar="SECONDS", help="end when nothing new came so long")] = None,
    stall: Annotated[float | None, typer.Option(min=0, metavar="SECONDS", help="silence that is a stall (own rhythm)")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="go on watching after the run's end")] = False,
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="numbers for Prometheus")] = "",
    format_: Annotated[str, typer.Option("--format", help="auto, live, plain, jsonl")] = "auto",
    report: Annotated[Path | None, typer.Option(help="write the last report here: .html, .json, .md")] = None,
    fail_on: FailOption = FailOn.never, only: OnlyOption = None, ignore: IgnoreOption = None, redact: RedactOption = True,
    lang: LangOption = Lang.en, config: ConfigOption = None, rules_: RulesOption = None,
) -> None:  # fmt: skip
    """Follows growing logs and run folders: prints each new finding once, and acts."""
    from analyzer import job
    from analyzer.live import request
    from analyzer.live.watch import Watch
    from analyzer.live.watch import watch as work

    acting = request.Acting(on_finding, webhook, webhook_format, stop_pid, stop_group, stop_file, grace, yes, severity,
                            tuple(on_rule or ()), after)  # fmt: skip
    wish = job.Request(tuple(paths), only=tuple(only or ()), ignore=tuple(ignore or ()), config=config, rules=tuple(rules_ or ()))
    raise typer.Exit(work(Watch(wish.paths, acting.plan(), acting.policy(), wish.options, request.format_of(format_), max_wait,
                                stall, fail_on.value, report, redact, lang.value, listen, keep)))  # fmt: skip


@app.command(context_settings={"allow_interspersed_args": False})
def run(
    command: Annotated[list[str] | None, typer.Argument(metavar="-- CMD ...", help="the command and its arguments")] = None,
    log: Annotated[Path | None, typer.Option(help="keep its output here (default: run-<time>.log)")] = None,
    quiet: QuietOption = False,
    stop: Annotated[bool, typer.Option("--stop", help="stop the command at a finding (needs --yes)")] = False,
    on_finding: FindingOption = "", webhook: HookOption = "", webhook_format: HookFormOption = "auto",
    stop_file: StopFileOption = None, grace: GraceOption = 30.0, yes: YesOption = False, severity: SeverityOption = "critical",
    on_rule: OnRuleOption = None, after: AfterOption = 0, config: ConfigOption = None,
) -> None:  # fmt: skip
    """Runs a command with its output and exit code unchanged, watches it, leaves a report if it fails."""
    from analyzer import job
    from analyzer.live import request

    acting = request.Acting(on_finding, webhook, webhook_format, None, None, stop_file, grace, yes, severity,
                            tuple(on_rule or ()), after)  # fmt: skip
    options = job.Request((), config=config).options
    raise typer.Exit(request.run_command(tuple(command or ()), log, acting, options, stop, quiet))
