"""What was typed for `watch` and `run` → plans, checked; and the watcher that `run` puts beside a command."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from analyzer import rule
from analyzer.diagnosis import Options
from analyzer.errors import UsageError
from analyzer.live import stop, webhook, wrap
from analyzer.live.actions import Plan, words
from analyzer.live.last_word import report
from analyzer.live.policy import Policy
from analyzer.live.view import NoticeView, SilentView
from analyzer.live.watch import Watch, Watcher
from analyzer.model import SEVERITIES, Diagnosis

FORMATS: Final = ("auto", "live", "plain", "jsonl")


@dataclass(frozen=True, slots=True)
class Acting:
    """The options of acting, as typed."""

    on_finding: str = ""
    webhook: str = ""
    webhook_format: str = "auto"
    stop_pid: int | None = None
    stop_group: int | None = None
    stop_file: Path | None = None
    grace: float = 30.0
    yes: bool = False
    severity: str = "critical"
    rules: tuple[str, ...] = ()
    after: int = 0

    def plan(self) -> Plan:
        """What is to be done. Raises UsageError."""
        if self.stop_pid is not None and self.stop_group is not None:
            raise UsageError("--stop-pid and --stop-group exclude each other.")
        if self.webhook:
            webhook.check(self.webhook)
        if self.webhook_format not in ("auto", "slack", "feishu", "dingtalk", "json"):
            raise UsageError(f"--webhook-format {self.webhook_format}: auto, slack, feishu, dingtalk or json.")
        pid = self.stop_pid if self.stop_pid is not None else self.stop_group
        target = stop.target(pid, self.stop_group is not None) if pid is not None else None
        command = words(self.on_finding) if self.on_finding else ()
        return Plan(command, self.webhook, self.webhook_format, target, self.stop_file, self.grace, self.yes)

    def policy(self) -> Policy:
        """When it is to be done. Raises UsageError."""
        if self.severity not in SEVERITIES[:2]:
            raise UsageError(f"--severity {self.severity}: critical or warning.")
        known = {one.id for one in rule.load()}
        for name in self.rules:
            if name not in known:
                raise UsageError(f"there is no rule {name!r}: `analyze rules` lists them.")
        return Policy(self.severity, self.rules, self.after)


def format_of(form: str) -> str:
    """A view's name. Raises UsageError for one that does not exist."""
    if form not in FORMATS:
        raise UsageError(f"--format {form}: {', '.join(FORMATS)}.")
    return form


def run_command(
    command: tuple[str, ...], log: Path | None, acting: Acting, options: Options, stops: bool = False, quiet: bool = False
) -> int:
    """`analyze run`: the command's exit code. `stops`: the command itself is what a finding stops."""
    if not command:
        raise UsageError("name the command to run: analyze run -- python train.py …")
    plan, policy = acting.plan(), acting.policy()

    def watcher(place: Path, pid: int, is_group: bool, status: Callable[[], int | None], news: int) -> None:
        own = replace(plan, target=stop.target(pid, is_group)) if stops else plan
        wish = Watch((str(place),), own, policy, options, keeps_on=True, is_done=lambda: status() is not None,
                     wakes=news)  # fmt: skip
        beside(wish, status, quiet)

    return wrap.run(wrap.Wrapped(command, log, watcher))


def beside(wish: Watch, status: Callable[[], int | None], quiet: bool) -> None:
    """Watches a command's log until the command has ended; writes the report where it failed."""
    view = NoticeView() if os.isatty(2) and not quiet else SilentView()
    watcher = Watcher(wish, view)
    while watcher.loop() == "stopped" and status() is None:  # it was asked to stop: its end is still to be seen
        pass
    diagnoses, ended = watcher.finish(), status() or 0
    if ended == 0 and not any(one.loud("critical") for one in diagnoses):
        return
    place = Path(wish.paths[0])
    page = place.with_suffix(".html") if place.suffix == ".log" else place.with_name(place.name + ".html")
    if diagnoses:
        report(page, diagnoses[0])
        print(_word(diagnoses[0], ended, place), file=sys.stderr)


def _word(diagnosis: Diagnosis, status: int, place: Path) -> str:
    first = next(iter(diagnosis.findings), None)
    what = f"{first.rule}: {first.summary}" if first else "nothing was recognised in its log"
    how = "ended" if status <= 0 else f"was ended by signal {status & 127}" if status & 127 else f"ended with {status >> 8}"
    return f"analyze: the command {how}; {what} (log: {place})"
