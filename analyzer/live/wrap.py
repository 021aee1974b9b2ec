"""`analyze run -- CMD …`: starts a command, copies its output, watches it, and leaves a report beside the log if it fails.

Three processes: the command; this one, which does nothing but copy; and the watcher, which reads the log. Where the
watcher dies, copying goes on; where this process is killed, the watcher takes over the copying, so that the training never
loses the reader of its output.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from analyzer.errors import UsageError
from analyzer.live import tee
from analyzer.live.tee import Channel

FORWARDED: Final = (
    signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH, signal.SIGCONT,
    signal.SIGTSTP,
)  # fmt: skip
SI_KERNEL: Final = 0x80
"""`si_code` of signals that the kernel sends, such as those of a terminal's keys: the command got them too.

But for the end of a terminal, which only the leader of its session is told: that may be us, as in a container.
"""
PATIENCE: Final = 120.0
"""Seconds that the watcher gets for its report after the command has ended."""


@dataclass(frozen=True, slots=True)
class Wrapped:
    """What the user asked for. `watch(log, pid, is_group, done, news)` is the watcher's work.

    It returns when `done` says so; the descriptor `news` can be read when it should be asked again.
    """

    command: tuple[str, ...]
    log: Path | None = None
    watch: Callable[[Path, int, bool, Callable[[], int | None], int], None] = field(default=lambda *_: None)


def run(wish: Wrapped) -> int:
    """Runs the command; its exit code. Raises UsageError where the log cannot be written."""
    place, log = _open_log(wish.log)
    chosen = tee.channels()
    numbers = {*FORWARDED, signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    sys.stdout.flush()
    sys.stderr.flush()
    is_own_group = not os.isatty(0)
    pid = tee.spawn(wish.command, chosen, {signal.Signals(n) for n in before}, is_own_group)
    told, teller = os.pipe()
    watcher = _fork_watcher(wish, place, log, pid, is_own_group, list(chosen), told, teller)
    os.close(told)
    status = _copy(chosen, log, pid, is_own_group, teller)
    _tell(teller, f"end {status}\n")
    _rest(chosen, log)
    os.close(teller)
    _await(watcher, place)
    return tee.end_like(status)


def _open_log(wish: Path | None) -> tuple[Path, int]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    stem = time.strftime("run-%Y%m%d-%H%M%S")
    names = [wish] if wish else [Path(f"{stem}{suffix}.log") for suffix in ("", *(f"-{n}" for n in range(2, 100)))]
    for name in names:
        try:
            return name, os.open(name, flags | (os.O_TRUNC if wish else os.O_EXCL), 0o666)
        except FileExistsError:
            continue
        except OSError as error:
            raise UsageError(f"the log {name} cannot be written ({error.strerror}): name another with --log.") from None
    raise UsageError("no name is left for the log here: name one with --log.")


def _copy(chosen: list[Channel], log: int, pid: int, is_own_group: bool, teller: int) -> int:
    """Copies and passes signals on until the command has ended; its wait status."""
    ended: list[int] = []
    woken, waker = os.pipe()

    def over() -> bool:
        if not ended:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                ended.append(status)
        return bool(ended)

    every = list(chosen)
    threading.Thread(target=_signals, args=(pid, is_own_group, every, waker), daemon=True).start()
    names = {id(channel): index for index, channel in enumerate(every)}
    tee.copy(chosen, log, woken, over, lambda channel: _tell(teller, f"closed {names[id(channel)]}\n"))
    while not over():
        os.read(woken, tee.CHUNK)
    return ended[0]


def _signals(pid: int, is_own_group: bool, every: Sequence[Channel], waker: int) -> None:
    """Passes on what was sent to us alone, and wakes the copying."""
    while True:
        info = signal.sigwaitinfo({*FORWARDED, signal.SIGCHLD})
        number = signal.Signals(info.si_signo)
        if number == signal.SIGWINCH:
            for channel in every:
                channel.resize()
        is_ours_alone = number == signal.SIGWINCH or (number == signal.SIGHUP and os.getsid(0) == os.getpid())
        if number != signal.SIGCHLD and (is_own_group or info.si_code != SI_KERNEL or is_ours_alone):
            with contextlib.suppress(OSError):
                os.kill(pid, number)
        if number == signal.SIGTSTP:
            _stop()
        with contextlib.suppress(OSError):
            os.write(waker, b".")


def _stop() -> None:
    """Lets SIGTSTP do what it does to every program: nothing where no shell could continue us."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTSTP})
    signal.pthread_kill(threading.get_ident(), signal.SIGTSTP)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTSTP})


def _rest(chosen: list[Channel], log: int) -> None:
    """Where a program that the command left behind still writes, a process of its own goes on copying for it."""
    if chosen and os.fork() == 0:
        with contextlib.suppress(BaseException):
            tee.copy(chosen, log)
        os._exit(0)
    for channel in chosen:
        os.close(channel.ours)


def _fork_watcher(
    wish: Wrapped, place: Path, log: int, pid: int, is_group: bool, chosen: list[Channel], told: int, teller: int
) -> int:
    """The watcher's process id. It is in a session of its own: the terminal's keys are not for it."""
    watcher = os.fork()
    if watcher:
        return watcher
    code = 1
    try:
        os.close(teller)
        os.setsid()
        with contextlib.suppress(OSError):
            os.nice(5)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {*FORWARDED, signal.SIGCHLD})
        for number in (signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)
        news = _News(told, chosen, log)
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        _keep_outputs(chosen)
        os.dup2(null, 1)
        wish.watch(place, pid, is_group, news.status, told)
        code = 0
    except BaseException as error:  # whatever happens here, the training goes on
        with contextlib.suppress(BaseException):
            print(f"analyze: the watcher failed ({type(error).__name__}: {error}); the run goes on", file=sys.stderr)
    finally:
        with contextlib.suppress(BaseException):
            news.take_over()
        os._exit(code)


def _keep_outputs(chosen: list[Channel]) -> None:
    """The watcher prints nothing to standard output, but may have to go on copying to it."""
    for channel in chosen:
        channel.out = os.dup(channel.out)


class _News:
    """What the copying process tells the watcher: streams that nobody reads, the command's end. Its own end is news too."""

    def __init__(self, told: int, chosen: list[Channel], log: int) -> None:
        os.set_blocking(told, False)
        self._told = told
        self._chosen = chosen
        self._every = list(chosen)
        self._log = log
        self._status: int | None = None
        self._is_alone = False
        self._text = b""

    def status(self) -> int | None:
        """The command's wait status once it has ended, -1 where it cannot be known, None while it runs."""
        while self._status is None and not self._is_alone:
            try:
                data = os.read(self._told, 4096)
            except BlockingIOError:
                return None
            if not data:
                self._is_alone = True
                threading.Thread(target=self.take_over, daemon=True).start()
            self._text += data
            *lines, self._text = self._text.split(b"\n")
            for line in lines:
                self._take(line)
        if self._is_alone and self._status is None and not self._chosen:
            return -1
        return self._status

    def take_over(self) -> None:
        """Goes on copying where the process that did it was killed, until every stream has ended."""
        if self._is_alone and self._status is None and self._chosen:
            tee.copy(self._chosen, self._log)

    def _take(self, line: bytes) -> None:
        word, _, number = line.partition(b" ")
        if word == b"end":
            self._status = int(number)
            gone = list(self._chosen)
        else:
            gone = [c for c in self._chosen if c is self._every[int(number)]]
        for channel in gone:
            os.close(channel.ours)
            self._chosen.remove(channel)


def _tell(teller: int, text: str) -> None:
    with contextlib.suppress(OSError):  # the watcher is gone: nobody needs to know
        os.write(teller, text.encode())


def _await(watcher: int, place: Path) -> None:
    """Waits for the watcher's report, but not for ever; says so where it died early."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            done, status = os.waitpid(watcher, os.WNOHANG)
        except ChildProcessError:
            return
        if done:
            if status:
                print(f"analyze: the watcher ended early; `analyze {place}` judges the log", file=sys.stderr)
            return
        time.sleep(0.02)
    with contextlib.suppress(OSError):
        os.kill(watcher, signal.SIGKILL)
