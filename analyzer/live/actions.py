"""What is done about a finding: a command, a message, a stop. Slow work runs beside the watching, one thing after another."""

from __future__ import annotations

import os
import queue
import shlex
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from analyzer.errors import UsageError
from analyzer.live import stop, webhook
from analyzer.model import Finding
from analyzer.output.plain import neutral
from analyzer.output.redact import redact_text

COMMAND_TIMEOUT: Final = 60.0
"""Seconds that a command may take."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the user asked to be done. Nothing is stopped unless `is_armed` (`--yes`)."""

    command: tuple[str, ...] = ()
    webhook: str = ""
    webhook_form: str = "auto"
    target: stop.Target | None = None
    stop_file: Path | None = None
    grace: float = 30.0
    is_armed: bool = False

    @property
    def stops(self) -> bool:
        """Whether stopping was asked for, armed or not."""
        return self.target is not None or self.stop_file is not None


def words(command: str) -> tuple[str, ...]:
    """A command's words as a shell would see them; no shell ever runs. Raises UsageError where quotes are open."""
    try:
        found = tuple(shlex.split(command))
    except ValueError as error:
        raise UsageError(f"--on-finding {command!r}: {error}.") from None
    if command and not found:
        raise UsageError("--on-finding needs a command.")
    return found


class Actions:
    """Carries out a plan. `say` tells the user in one line what was done."""

    def __init__(self, plan: Plan, say: Callable[[str], None]) -> None:
        self._plan = plan
        self._say = say
        self._queue: queue.Queue[Callable[[], None] | None] = queue.Queue()
        self._worker: threading.Thread | None = None
        self._has_told = False
        self.has_stopped = False

    def tell(self, finding: Finding, root: str, document: Callable[[], str]) -> None:
        """Hands the finding to the user's command and chat. `document`: the whole diagnosis as JSON, drawn when needed."""
        if self._plan.command:
            text = document()
            self._later(lambda: self._command(finding, root, text))
        if self._plan.webhook:
            self._later(lambda: self._post(finding, root))

    def stop(self, finding: Finding) -> None:
        """Stops the training program, or says what would be done."""
        plan, reason = self._plan, f"{finding.rule}: {neutral(finding.summary)}"
        if not plan.stops or self.has_stopped or self._has_told:
            return
        self.has_stopped = plan.is_armed
        if not plan.is_armed:
            self._has_told = True
            what = [f"send SIGTERM to {plan.target.name}"] if plan.target else []
            what += [f"write {plan.stop_file}"] if plan.stop_file else []
            self._say(f"would {' and '.join(what)} ({finding.rule}); add --yes to let it happen")
            return
        if plan.stop_file:
            stop.ask(plan.stop_file, reason, self._say)
        if plan.target and not plan.target.is_alive() and not plan.stop_file:
            self._say(f"{plan.target.name} is gone already")
            self.has_stopped, self._has_told = False, True
        elif plan.target:
            stop.stop(plan.target, plan.grace, self._say)

    def close(self, timeout: float = 90.0) -> None:
        """Waits for what is under way."""
        if self._worker is not None:
            self._queue.put(None)
            self._worker.join(timeout)

    def _later(self, work: Callable[[], None]) -> None:
        if self._worker is None:
            self._worker = threading.Thread(target=self._work, daemon=True, name="nanalyze-actions")
            self._worker.start()
        self._queue.put(work)

    def _work(self) -> None:
        while (work := self._queue.get()) is not None:
            try:
                work()
            except Exception as error:  # an action must never end the watching
                self._say(f"an action failed ({type(error).__name__})")

    def _command(self, finding: Finding, root: str, document: str) -> None:
        """Runs the command with the document on its standard input; log text reaches it nowhere else."""
        env = {**os.environ, **facts(finding, root)}
        try:
            process = subprocess.Popen(  # noqa: S603 - the user's own words, no shell
                self._plan.command, env=env, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
            )
            process.communicate(document.encode(), timeout=COMMAND_TIMEOUT)
        except subprocess.TimeoutExpired:
            with suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)  # what it has started hangs with it
            process.wait()
            self._say(f"{self._plan.command[0]} was ended after {COMMAND_TIMEOUT:g} s")
        except OSError as error:
            self._say(f"{self._plan.command[0]} cannot be run ({error.strerror})")
        else:
            if process.returncode:
                self._say(f"{self._plan.command[0]} ended with {process.returncode}")

    def _post(self, finding: Finding, root: str) -> None:
        step = "" if finding.first_step is None else f" at step {finding.first_step}"
        name = os.path.basename(root.rstrip("/")) or root
        text = redact_text(neutral(f"[{finding.severity}] {finding.rule}{step} in {name}: {finding.summary}"))
        details = {
            "run": redact_text(neutral(name)), "rule": finding.rule, "severity": finding.severity,
            "confidence": finding.confidence, "first_step": finding.first_step,
        }  # fmt: skip
        form = webhook.form_of(self._plan.webhook, self._plan.webhook_form)
        problem = webhook.send(self._plan.webhook, webhook.body(form, text, details))
        if problem:
            self._say(f"the message was not delivered: {problem}")


def facts(finding: Finding, root: str) -> Mapping[str, str]:
    """What a command may read from its environment: identifiers and numbers, no text of the log."""
    return {
        "NANALYZE_RUN": root,
        "NANALYZE_RULE": finding.rule,
        "NANALYZE_SEVERITY": finding.severity,
        "NANALYZE_CONFIDENCE": finding.confidence,
        "NANALYZE_STEP": "" if finding.first_step is None else str(finding.first_step),
    }
