"""Stopping a training program: SIGTERM, a grace, SIGKILL; or a file that the program itself looks for.

Nothing is stopped unless the user said `--yes`; without it, what would be done is said. The process is recognised by its
start time, so that a number that was given to another program meanwhile is never signalled.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from analyzer.errors import UsageError

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Target:
    """A process, or with `is_group` its whole process group, as it was when watching began."""

    pid: int
    is_group: bool
    started: str
    group: int = -1
    """The group's number: it outlives the process that gave it its name."""

    @property
    def name(self) -> str:
        """As messages call it."""
        return f"process group of {self.pid}" if self.is_group else f"process {self.pid}"

    def is_alive(self) -> bool:
        """Whether it still runs; a zombie does not. A group runs while any of its processes does."""
        if _started(self.pid) == self.started and self.started != "" and not _is_zombie(self.pid):
            return True
        is_taken = self.group == self.pid and _started(self.pid) not in ("", self.started)
        return self.is_group and self.group > 1 and not is_taken and _has_members(self.group)

    def opened(self) -> int:
        """A descriptor that can be read once the process has ended, -1 where the system has none."""
        try:
            return os.pidfd_open(self.pid) if self.is_alive() else -1
        except (OSError, AttributeError):
            return -1

    def send(self, number: signal.Signals) -> None:
        """Sends a signal; what is gone already needs none."""
        try:
            if self.is_group:
                os.killpg(self.group, number)
            else:
                os.kill(self.pid, number)
        except ProcessLookupError:
            pass


def target(pid: int, is_group: bool) -> Target:
    """The process to stop. Raises UsageError where there is none, or it may not or must not be signalled."""
    option = "--stop-group" if is_group else "--stop-pid"
    if pid <= 1 or pid == os.getpid() or (is_group and _group(pid) == os.getpgid(0)):
        raise UsageError(f"{option} {pid} would stop the watcher itself or the machine: name the training process.")
    try:
        os.kill(pid, 0)
    except OSError as error:
        reason = "there is no such process" if error.errno == errno.ESRCH else "it belongs to another user"
        raise UsageError(f"{option} {pid}: {reason}.") from None
    return Target(pid, is_group, _started(pid) or "?", _group(pid) if is_group else -1)


def stop(one: Target, grace: float, say: Say, sleep: Callable[[float], None] = time.sleep) -> bool:
    """SIGTERM, then after `grace` seconds SIGKILL; whether the process (all of the group) is gone."""
    if not one.is_alive():
        say(f"{one.name} is gone already")
        return True
    try:
        say(f"sent SIGTERM to {one.name}; SIGKILL follows in {grace:g} s unless it ends")
        one.send(signal.SIGTERM)
        if _wait(one, grace, sleep):
            return True
        say(f"sent SIGKILL to {one.name}: it did not end within {grace:g} s")
        one.send(signal.SIGKILL)
    except PermissionError:
        say(f"{one.name} may not be signalled: it belongs to another user")
        return False
    return _wait(one, 5.0, sleep)


def ask(path: Path, reason: str, say: Say) -> None:
    """Writes the file that the training program looks for; a file that exists is left as it is."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(reason + "\n")
        say(f"wrote {path}")
    except FileExistsError:
        say(f"{path} exists already")
    except OSError as error:
        say(f"{path} cannot be written ({error.strerror})")


def _wait(one: Target, seconds: float, sleep: Callable[[float], None]) -> bool:
    waited = 0.0
    while one.is_alive():
        if waited >= seconds:
            return False
        sleep(0.1)
        waited += 0.1
    return True


def _fields(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on, [] where there is no such process (or no /proc)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("latin-1").rpartition(")")[2].split()
    except OSError:
        return []


def _started(pid: int) -> str:
    fields = _fields(pid)
    if fields:
        return fields[19]
    if Path("/proc/self/stat").exists():
        return ""
    try:  # no /proc here: the number alone has to do
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "?"


def _is_zombie(pid: int) -> bool:
    return _fields(pid)[:1] in (["Z"], ["X"])


def _has_members(group: int) -> bool:
    """Whether a process of the group runs."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    fields = [_fields(int(name)) for name in os.listdir("/proc") if name.isdigit()] if os.path.isdir("/proc/self") else []
    mine = [one for one in fields if len(one) > 2 and one[2] == str(group)]
    return not fields or any(one[0] not in ("Z", "X") for one in mine)


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except OSError:
        return -1
