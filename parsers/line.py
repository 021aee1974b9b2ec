"""One fragment of a text log, as readers see it: decoded, without escapes and without what launchers put in front."""

from __future__ import annotations

import calendar
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from parsers.model import MAX_TEXT, SourceRef

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07|\x1b[()][A-B0]")

# What launchers and log shippers put before a program's own text (FORMATS.md section 0, trap 3), outermost first.
_PREFIXES: Final = (
    re.compile(r"\[rank(?P<rank>\d{1,9})\]: ?"),  # torch >= 2.2
    re.compile(r"\[(?P<role>[A-Za-z_]+)(?P<local>\d{1,9})\]: ?"),  # torchrun: [${role_name}${rank}]:
    re.compile(r"\[\d+,(?P<rank>\d{1,9})\]<std(?:out|err)>: ?"),  # mpirun --tag-output
    re.compile(
        r"(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)) "
        r"(?:std(?:out|err) [FP] |(?P<host>[\w.-]{1,60}) [\w./-]{1,60}\[\d{1,9}\]: )?"
    ),  # CRI, docker; rsyslog and journalctl with ISO stamps
    re.compile(
        r"(?:DEFAULT|DEBUG|INFO|NOTICE|WARNING|ERROR|CRITICAL) (?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z) "
        r"\[resource\.labels\.\w{1,40}: [\w.-]{1,100}\] ?"
    ),  # Google Cloud's log explorer
    re.compile(r"\[pod/(?P<host>[\w.-]{1,80})/[\w.-]{1,80}\] "),  # kubectl logs --prefix
    re.compile(r"\((?P<actor>[A-Za-z_][\w.:-]*) pid=\d+(?:, ip=[\d.]+)?\) ?"),  # Ray
    re.compile(r"\((?P<actor>raylet|autoscaler)(?:, ip=[\d.]+)?\) ?"),  # Ray's own processes
    re.compile(r"(?P<host>[a-z][a-z-]*-?\d+)  ?\| "),  # compose, kubetail
    re.compile(r"(?P<host>localhost|\d{1,3}(?:\.\d{1,3}){3}): "),  # pdsh, by address
    re.compile(
        r" {0,3}(?P<rank>\d{1,4}): (?=[\[{(A-Z \t]|File |torch|wandb: |srun: |slurmstepd: |\x25|"
        r"(?!(?:(?:train|val|eval|test|avg|mean|total|batch|step)\w{0,12}[ _/]?)?(?:loss|lr|acc|ppl|learning))"
        r"[a-z][\w./-]{1,40}(?: (?!<)|=))"
    ),  # srun --label: a number before `loss` may be a step, one before `eth0: <UP>` counts interfaces
    re.compile(
        r"(?P<host>[A-Za-z][\w.-]{0,60}\d[\w.-]{0,60}): (?=\[\d{4}-|\{'|Traceback|\[rank|\[20|  File |    "
        r"|[\w.]{2,60}(?:Error|Exception|Interrupt)\b)"
    ),  # pdsh
    re.compile(r"(?:<\d{1,3}>)?[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d (?P<host>[\w.-]+) [\w./-]+(?:\[\d+\])?: "),  # syslog
    re.compile(
        r"<\d{1,3}>1 (?P<time>\d{4}-\d\d-\d\dT[\d:.]{8,18}(?:Z|[+-]\d\d:\d\d)) (?P<host>[\w.-]{1,80}) "
        r"\S{1,48} \S{1,48} \S{1,48} (?:-|\[[^\]]{0,300}\]) "
    ),  # syslog of RFC 5424
)
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DIGITS: Final = "0123456789"
_FIRSTS: Final = (
    "[", "[", "[", _DIGITS, "DINWEC", "[", "(", "(", _LETTERS[26:], "l" + _DIGITS, " " + _DIGITS, _LETTERS,
    "<" + _LETTERS[:26], "<",
)  # fmt: skip
"""What each prefix can begin with, in their order."""
BY_FIRST: Final = {
    char: tuple(prefix for prefix, chars in zip(_PREFIXES, _FIRSTS, strict=True) if char in chars)
    for char in dict.fromkeys("".join(_FIRSTS))
}
"""Character → the prefixes that can begin with it."""

_STAMP_FIRST: Final = frozenset("[0123456789")
_STAMPS: Final = (
    re.compile(
        r"\[?(?P<y>\d{4})-(?P<mo>\d\d)-(?P<d>\d\d)[ T_]"
        r"(?P<h>\d\d):(?P<mi>\d\d):(?P<s>\d\d)(?:[.,](?P<f>\d{1,9}))?(?P<z>Z|[+-]\d\d:?\d\d)?"
    ),
    re.compile(r"(?P<mo>\d\d)/(?P<d>\d\d)/(?P<y>\d{4}) (?P<h>\d\d):(?P<mi>\d\d):(?P<s>\d\d)"),
    re.compile(r"(?P<y>\d{4})/(?P<mo>\d\d)/(?P<d>\d\d) (?P<h>\d\d):(?P<mi>\d\d):(?P<s>\d\d)"),
)
_GLOG: Final = re.compile(r"(?:\[|^)[EFWI](?P<month>\d\d?)(?P<day>\d\d) (?P<h>\d\d):(?P<m>\d\d):(?P<s>\d\d(?:\.\d{1,9})?)")
_HF_STAMP: Final = re.compile(r"\[[A-Z]+\|[^\]]*\] (?=\d{4}-)")
MAX_DIGITS: Final = 400
"""Digits of the longest number: a longer run of them is none, and Python refuses to make one of 4,301."""
_ENDLESS: Final = re.compile(rf"\d{{{MAX_DIGITS},}}")
_REPEATED: Final = re.compile(r" \[repeated (\d{1,9})x across cluster\](?: \(Ray deduplicates logs by default\.[^()]*\))?$")


@dataclass(slots=True)
class Line:
    """A fragment. `text` has no escapes, no launcher prefix and no trailing blanks; `no` is its line in the file."""

    file: str
    no: int
    text: str
    raw: str
    rank: int | None = None
    local_rank: int | None = None
    host: str = ""
    actor: str = ""
    stamp: str = ""
    hints: tuple[bytes, ...] = ()
    """The readers' hints that were found in it."""
    repeats: int = 1
    """How many prints Ray folded into this line (`[repeated 7x across cluster]`: 7, beside the line that it showed before)."""
    _ref: SourceRef | None = None
    _time: float | None = -1.0
    """Worked out once, however many readers ask; -1: not yet."""

    @property
    def time(self) -> float | None:
        """Seconds since the epoch from the line's own stamp; zone-less stamps are read as UTC."""
        if self._time == -1.0:
            self._time = stamp(self.text) or (stamp(self.stamp) if self.stamp else None)
        return self._time

    @property
    def ref(self) -> SourceRef:
        """The place of this line, with its text (without escapes, at most 300 characters)."""
        if self._ref is None:
            self._ref = SourceRef(self.file, self.no, self.raw[:MAX_TEXT], self.rank)
        return self._ref


def make_line(file: str, number: int, data: bytes) -> Line:
    """Decodes a fragment, drops escapes and NULs, and peels prefixes into fields."""
    text, shipped = data.decode("utf-8", "replace"), ""
    if text.startswith('{"log":"'):
        text, shipped = _unpacked(text)
    if "\0" in text:
        text = text.replace("\0", "")
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    if "\x08" in text:
        text = text.replace("\x08", "")
    if len(text) > MAX_DIGITS:
        text = _ENDLESS.sub("…", text)
    text = text.rstrip()
    line = Line(file, number, text, text.strip(), stamp=shipped)
    _peel(line)
    if "x across cluster]" in line.text[-400:]:
        repeated = _REPEATED.search(line.text)
        if repeated:
            line.repeats = int(repeated[1])
            line.text = line.text[: repeated.start()]
    return line


def _unpacked(text: str) -> tuple[str, str]:
    """What Docker's json-file driver wrote of a line, and when: `{"log":"…","stream":"stdout","time":"2024-…Z"}`."""
    try:
        entry = json.loads(text)
    except (ValueError, RecursionError):
        return text, ""
    log, time = entry.get("log"), entry.get("time")
    if not isinstance(log, str) or not isinstance(time, str):
        return text, ""
    return log, time[:40]


def _peel(line: Line) -> None:
    for _ in range(4):
        for prefix in BY_FIRST.get(line.text[:1], ()):
            found = prefix.match(line.text)
            if found:
                fields = found.groupdict()
                if fields.get("rank") and line.rank is None:
                    line.rank = int(fields["rank"])
                if fields.get("local") and fields["role"] != "rank":
                    line.local_rank = int(fields["local"])
                line.host = fields.get("host") or line.host
                line.actor = fields.get("actor") or line.actor
                line.stamp = fields.get("time") or line.stamp
                line.text = line.text[found.end() :]
                break
        else:
            return


def stamp(text: str) -> float | None:
    """A date and time at the beginning of `text` → seconds since the epoch, or None.

    Knows `[2026-11-24 02:38:11,143]`, `2024-05-01T12:00:00.5+02:00`, `[INFO|trainer.py:1] 2024-…`, `05/01/2024 12:00:00`
    and `2024/05/01 12:00:00`. A stamp without a zone is read as UTC: only differences within one clock mean anything.
    """
    if text[:1] not in _STAMP_FIRST and not text[:1].isdigit():
        return None
    hf = _HF_STAMP.match(text)
    start = hf.end() if hf else 0
    for pattern in _STAMPS:
        found = pattern.match(text, start)
        if found:
            return _seconds(found.groupdict())
    return None


def clock(text: str) -> float | None:
    """Seconds since 1 January of a stamp without a year, as glog prints it (`E1124 02:46:39.915773`), or None."""
    found = _GLOG.search(text)
    if not found or not (1 <= int(found["month"]) <= 12 and 1 <= int(found["day"]) <= 31):
        return None
    whole = calendar.timegm((1970, int(found["month"]), int(found["day"]), int(found["h"]), int(found["m"]), 0))
    return whole + float(found["s"])


def plain_stamp(text: bytes) -> float | None:
    """`2026-11-24 02:38:11,143` or without the milliseconds → what `Line.time` says of a line that begins so."""
    digits = text.decode("ascii")
    day = midnight(digits[:4], digits[5:7], digits[8:10])
    if day is None:
        return None
    seconds = float(day + int(digits[11:13]) * 3600 + int(digits[14:16]) * 60 + int(digits[17:19]))
    return (seconds + int(digits[20:23]) / 1000 if len(digits) > 19 else seconds) or None


@lru_cache(maxsize=64)
def midnight(year: str, month: str, day: str) -> int | None:
    """The seconds at which a day begins; kept, as a log has few days. None for a day that there is not."""
    y, m, d = int(year), int(month), int(day)
    return calendar.timegm((y, m, d, 0, 0, 0)) if 1970 <= y < 2200 and 1 <= m <= 12 and 1 <= d <= 31 else None


def _seconds(part: dict[str, str | None]) -> float | None:
    day = midnight(part["y"] or "", part["mo"] or "", part["d"] or "")
    if day is None:
        return None
    seconds = float(day + int(part["h"] or 0) * 3600 + int(part["mi"] or 0) * 60 + int(part["s"] or 0))
    fraction, zone = part.get("f"), part.get("z")
    if fraction:
        seconds += int(fraction) / 10 ** len(fraction)
    if zone and zone != "Z":
        offset = int(zone[1:3]) * 3600 + int(zone[-2:]) * 60
        seconds -= offset if zone[0] == "+" else -offset
    return seconds
