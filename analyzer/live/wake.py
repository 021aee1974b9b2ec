"""Waiting until a file may have changed: the kernel tells (inotify) where it can, else time passes.

inotify tells of writes on this machine's own file systems. What another machine writes to NFS, Lustre, CephFS or a mounted
object store it never tells, so files there are looked at again after a pause; and everything is looked at once a second,
so that a lost event (a full queue, a write through `mmap`) costs a second.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

FAST: Final = 0.2
SLOW: Final = 1.0
"""Seconds between two looks, while files grow and while they are still."""
GAP: Final = 0.1
"""Seconds that are always slept: a program that prints a hundred lines a second wakes nobody a hundred times."""
LOCAL: Final = frozenset(
    {"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "ramfs", "reiserfs", "tmpfs", "xfs", "zfs"}
)
"""File systems to which this machine alone writes."""
MOUNTS: Final = "/proc/self/mountinfo"


class Waker:
    """Waits for changes of the files that it was told to mind."""

    def __init__(self, fds: Iterable[int] = ()) -> None:
        """`fds`: descriptors that wake as well, as soon as they can be read."""
        self._inotify = _inotify()
        self._told: dict[str, bool] = {}
        self._folders: dict[int, str] = {}
        self._pause = FAST
        self._poll = select.poll()
        for fd in (*fds, *([self._inotify.fileno()] if self._inotify is not None else ())):
            self._poll.register(fd, select.POLLIN)
        self.has_news = False
        """Whether a file appeared beside those that are minded, or one was moved or deleted, since `mind`."""

    @property
    def is_told(self) -> bool:
        """Whether the kernel tells of every change, so that nothing has to be looked at in between."""
        return bool(self._told) and all(self._told.values())

    def mind(self, files: Iterable[str]) -> None:
        """The files (or folders) to wait for; those that do not exist yet are waited for in their folders."""
        self.has_news = False
        files = list(files)
        folders = {path if os.path.isdir(path) else os.path.dirname(path) or "." for path in files}
        mounts = _mounts() if self._inotify is not None and not {*files, *folders} <= set(self._told) else []
        for path in (*files, *folders):
            is_seen = self._add(path, is_folder=path in folders)
            if path not in self._told or not is_seen:
                self._told[path] = is_seen and _is_local(path, mounts)
        self._told = {path: told for path, told in self._told.items() if path in folders or path in files}

    def wait(self, is_busy: bool, longest: float | None = None) -> None:
        """Returns when something may have changed, at the latest after `longest`. `is_busy`: something did a moment ago."""
        self._pause = SLOW if self.is_told else FAST if is_busy else min(SLOW, self._pause * 1.3)
        time.sleep(GAP)
        self._poll.poll(1000 * (min(self._pause, self._pause if longest is None else max(longest, FAST)) - GAP))
        for event in self._inotify.read(timeout=0) if self._inotify is not None else ():
            self.has_news = self.has_news or event.wd in self._folders or bool(event.mask & _moves())

    def close(self) -> None:
        """Lets go of what the kernel keeps for it."""
        if self._inotify is not None:
            self._inotify.close()
            self._inotify = None

    def _add(self, path: str, is_folder: bool) -> bool:
        """Asks the kernel to tell; whether it will. Asking again is free, and needed after a file was replaced."""
        if self._inotify is None:
            return False
        from inotify_simple import flags

        mask = flags.CREATE | flags.MOVED_TO if is_folder else flags.MODIFY | flags.CLOSE_WRITE | _moves()
        try:
            number = self._inotify.add_watch(path, mask)
        except FileNotFoundError:
            return True  # its folder tells when it appears
        except OSError:  # the user's watches are used up, or the path may not be read
            return False
        if is_folder:
            self._folders[number] = path
        return True


def _inotify() -> Any:
    """The kernel's messenger, None where there is none."""
    with suppress(ImportError, OSError, AttributeError):
        from inotify_simple import INotify

        return INotify()
    return None


def _moves() -> int:
    from inotify_simple import flags

    return int(flags.MOVE_SELF | flags.DELETE_SELF)


def _mounts() -> list[tuple[str, str]]:
    """Mount points and their file systems, the deepest first; [] where they are not known."""
    try:
        lines = Path(MOUNTS).read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
    halves = [line.partition(" - ") for line in lines]
    found = [(left.split()[4].replace("\\040", " "), right.split()[0]) for left, _, right in halves if right]
    return sorted(dict(found).items(), key=lambda mount: -len(mount[0]))  # of two on one point, the later one is seen


def _is_local(path: str, mounts: Sequence[tuple[str, str]]) -> bool:
    """Whether the path lies on a file system to which no other machine writes."""
    real = os.path.realpath(path)
    return next((kind in LOCAL for point, kind in mounts if real == point or real.startswith(point.rstrip("/") + "/")), False)
