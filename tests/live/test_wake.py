"""The kernel wakes the watcher; where it cannot, time does."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from analyzer.live import wake
from analyzer.live.wake import Waker, _is_local, _mounts

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")


def waited(waker: Waker, *work: object) -> float:
    """Seconds until it woke; what changes the file happens after 0.15 s."""
    timer = threading.Timer(0.15, *work)  # type: ignore[arg-type]
    timer.start()
    begun = time.monotonic()
    waker.wait(is_busy=False)
    timer.join()
    return time.monotonic() - begun


@LINUX
def test_a_write_wakes_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wake, "SLOW", 5.0)
    monkeypatch.setattr(wake, "_is_local", lambda *_: True)
    log = tmp_path / "run.log"
    waker = Waker()
    waker.mind([str(log)])
    assert waker.is_told
    assert waited(waker, log.touch) < 2  # a file that is waited for appears
    assert waker.has_news
    waker.mind([str(log)])
    waker.wait(is_busy=False)
    assert waited(waker, lambda: log.write_text("x")) < 2
    assert not waker.has_news
    waker.wait(is_busy=False, longest=0.2)  # writing told twice: changed, closed
    assert waited(waker, lambda: os.rename(log, tmp_path / "run.log.1")) < 2
    assert waker.has_news
    assert waited(waker, lambda: None) >= 4.9
    waker.close()


@LINUX
def test_a_descriptor_wakes_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wake, "SLOW", 5.0)
    monkeypatch.setattr(wake, "_is_local", lambda *_: True)
    ours, theirs = os.pipe()
    waker = Waker([ours])
    waker.mind([str(tmp_path)])
    assert waited(waker, lambda: os.write(theirs, b".")) < 2


def test_without_inotify_time_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "inotify_simple", None)
    waker = Waker()
    waker.mind([str(tmp_path / "run.log")])
    assert not waker.is_told
    begun = time.monotonic()
    waker.wait(is_busy=True)
    assert 0.15 < time.monotonic() - begun < 2
    waker.close()


def test_file_systems_that_others_write_to_are_polled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(
        "1 0 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n"
        "2 1 0:40 / /data rw,relatime shared:2 - nfs4 server:/data rw\n"
        "3 1 0:41 / /data/with\\040space rw - tmpfs tmpfs rw\n"
        "4 1 0:42 / /bucket rw - fuse.s3fs s3fs rw\n"
    )
    monkeypatch.setattr(wake, "MOUNTS", str(table))
    mounts = _mounts()
    told = [_is_local(p, mounts) for p in ("/x/run.log", "/data/run.log", "/data/with space/a", "/bucket/run.log", "/database/a")]
    assert told == [True, False, True, False, True]
