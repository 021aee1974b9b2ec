"""A command's output, byte for byte, to where it would have gone and into a log beside.

The command keeps our standard input, our terminal and, at a terminal, our process group: Ctrl-C, Ctrl-Z and prompts work
as without us. Where our output is a terminal it writes to a pseudo terminal of the same size, which changes no byte; else
to pipes. Two streams that go to the same place stay one, so that their order is kept.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import signal
import struct
import sys
import termios
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

CHUNK: Final = 65536
NOT_FOUND: Final = 127
NOT_EXECUTABLE: Final = 126
"""What a shell answers where a command cannot be started."""


@dataclass(slots=True)
class Channel:
    """One stream of the command: what it writes to `theirs` is read from `ours` and goes to the descriptor `out`."""

    out: int
    ours: int
    theirs: int
    is_pty: bool
    fds: tuple[int, ...]
    """The command's descriptors that it stands for: (1,), (2,) or both."""

    def resize(self) -> None:
        """Gives a pseudo terminal the size of ours."""
        if self.is_pty:
            with contextlib.suppress(OSError):
                fcntl.ioctl(
                    self.ours, termios.TIOCSWINSZ, fcntl.ioctl(self.out, termios.TIOCGWINSZ, struct.pack("4H", 0, 0, 0, 0))
                )


def channels() -> list[Channel]:
    """The channels that our own standard output and error ask for."""
    if _is_same(1, 2):
        return [_channel(1, (1, 2))]
    return [_channel(1, (1,)), _channel(2, (2,))]


def _channel(out: int, fds: tuple[int, ...]) -> Channel:
    if not os.isatty(out):
        ours, theirs = os.pipe()
        return Channel(out, ours, theirs, False, fds)
    ours, theirs = os.openpty()
    modes = termios.tcgetattr(theirs)
    modes[1] &= ~termios.OPOST  # line feeds stay line feeds: the real terminal adds the carriage returns
    termios.tcsetattr(theirs, termios.TCSANOW, modes)
    channel = Channel(out, ours, theirs, True, fds)
    channel.resize()
    return channel


def _is_same(one: int, other: int) -> bool:
    try:
        first, second = os.fstat(one), os.fstat(other)
    except OSError:
        return False
    return (first.st_dev, first.st_ino, first.st_rdev) == (second.st_dev, second.st_ino, second.st_rdev)


def spawn(command: Sequence[str], chosen: Sequence[Channel], mask: set[signal.Signals], is_own_group: bool) -> int:
    """Starts the command; its process id. Signals are as they were before us (`mask`)."""
    pid = os.fork()
    if pid:
        if is_own_group:
            with contextlib.suppress(OSError):
                os.setpgid(pid, pid)
        for channel in chosen:
            os.close(channel.theirs)
        return pid
    try:
        if is_own_group:
            os.setpgid(0, 0)
        for channel in chosen:
            for fd in channel.fds:
                os.dup2(channel.theirs, fd)
        for channel in chosen:
            os.close(channel.ours)
            os.close(channel.theirs)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)  # Python ignores them; a command expects the default
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.execvp(command[0], list(command))  # noqa: S606 - the user's own command
    except OSError as error:
        os.write(2, f"analyze: {command[0]}: {error.strerror}\n".encode())
        os._exit(NOT_FOUND if error.errno == errno.ENOENT else NOT_EXECUTABLE)
    finally:
        os._exit(NOT_EXECUTABLE)


def copy(
    chosen: list[Channel], log: int, wake: int = -1, is_over: Callable[[], bool] = lambda: False,
    closed: Callable[[Channel], None] = lambda _: None,
) -> bool:  # fmt: skip
    """Copies until every stream has ended, or until `is_over` and nothing is left to read; whether all have ended.

    `wake`: a descriptor whose bytes only wake us. `closed`: told of a stream whose reader is gone.
    """
    while chosen:
        over = is_over()
        ready, _, _ = select.select([c.ours for c in chosen] + ([wake] if wake >= 0 else []), [], [], 0 if over else None)
        if wake in ready:
            os.read(wake, CHUNK)
            ready.remove(wake)
        if over and not ready:
            return False
        for channel in [c for c in chosen if c.ours in ready]:
            if not _pass(channel, log):
                os.close(channel.ours)
                chosen.remove(channel)
                closed(channel)
    return True


def _pass(channel: Channel, log: int) -> bool:
    """Passes on what is there; False where the stream has ended or nobody reads it any more."""
    try:
        data = os.read(channel.ours, CHUNK)
    except OSError:  # EIO: the last program that held the pseudo terminal has closed it
        return False
    if not data:
        return False
    with contextlib.suppress(OSError):  # a full disk must not stop the training
        write_all(log, data)
    try:
        write_all(channel.out, data)
    except OSError:  # the reader is gone: the command learns it from its next write, as without us
        return False
    return True


def write_all(fd: int, data: bytes) -> None:
    """Writes everything, waiting where the descriptor does not block."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            select.select([], [fd], [])


def end_like(status: int) -> int:
    """Our exit code for a command's wait status; where a signal ended it, the same signal ends us."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        sys.stdout.flush()
        sys.stderr.flush()
        with contextlib.suppress(OSError, ValueError):
            import resource

            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the core dump that matters is the command's
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_DFL)  # refused for SIGKILL, which needs none
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
        os.kill(os.getpid(), number)
        return 128 + number
    return os.waitstatus_to_exitcode(status)
