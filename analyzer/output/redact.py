"""What must not leave the house taken out of a diagnosis: names of users and hosts, addresses, secrets.

On by default in every format that is shared. What was taken out is counted and listed, and the same name gets the same
substitute everywhere (`[host-1]`, `[ip-2]`), so that ranks and nodes stay distinguishable. Steps, lines, versions and
digests are untouched.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Final, TypeVar

from analyzer.model import Diagnosis
from analyzer.output.index import Row

T = TypeVar("T")

_SECRETS: Final = re.compile(
    r"""(?x)
      \b(?: hf_[A-Za-z0-9]{16,} | (?:sk|pk|rk)-(?:proj-|ant-)?[A-Za-z0-9_-]{16,} | gh[pousr]_[A-Za-z0-9]{20,}
        | github_pat_[A-Za-z0-9_]{20,} | glpat-[A-Za-z0-9_-]{16,} | xox[abprs]-[A-Za-z0-9-]{10,} | (?:AKIA|ASIA)[A-Z0-9]{16}
        | AIza[A-Za-z0-9_-]{30,} | eyJ[A-Za-z0-9_-]{10,200}\.eyJ[A-Za-z0-9_-]{10,2000}\.[A-Za-z0-9_-]{5,500} )\b"""
)
_KEYED: Final = re.compile(
    r"""(?xi)
      \b( [A-Z0-9_]{0,40} (?: api[_-]?key | secret(?:[_-]?(?:access[_-]?)?key)? | passw(?:or)?d | passphrase | credentials?
        | (?:auth|access|api|hf|hub|hugging_?face|github|bearer|session|refresh)[_-]?token )
        ["']? \s{0,3} (?: [=:] | \s ) \s{0,3} ["']? )
      ( [^\s"',;}\])]{6,200} )"""
)
_BEARER: Final = re.compile(r"(?i)\b(bearer|basic)(\s+)([A-Za-z0-9._~+/-]{12,500}=*)")
_URL_LOGIN: Final = re.compile(r"\b([a-z][a-z0-9+.-]{1,15}://)([^\s/@:]{1,100}:[^\s/@]{1,200}|[^\s/@:]{20,200})@")
_SIGNED: Final = re.compile(
    r"(?i)([?&](?:x-amz-[a-z-]+|sig|signature|token|key|access_token|x-goog-signature)=)([^\s&\"']{6,2000})"
)
_EMAIL: Final = re.compile(r"\b[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,5}[A-Za-z]{2,12}\b")
_LOGIN: Final = re.compile(r"\b([A-Za-z_][A-Za-z0-9_.-]{1,31})@([A-Za-z][A-Za-z0-9.-]{1,100})(?=[:~\s$#])")
_HOME: Final = re.compile(
    r"((?:/home|/Users|/export/home|/mnt/home|/data/home|/nfs/home|[A-Za-z]:\\+Users)[/\\]+)([^/\\\s:;,'\"<>|&()\[\]]{1,64})"
)
_USER: Final = re.compile(r"\b((?:USER|LOGNAME|USERNAME)[\"']?\s{0,2}[=:]\s{0,2}[\"']?)([A-Za-z_][A-Za-z0-9_.-]{1,31})\b")
_HOST: Final = re.compile(
    r"""(?xi)
      \b( (?: hostname | host | node(?:name|list)? | HOSTNAME | SLURMD_NODENAME | SLURM_(?:JOB_)?NODELIST | MASTER_ADDR
        | master_addr | rdzv_endpoint ) ["']? \s{0,8} [=:] \s{0,3} ["']? )
      ( [a-z][a-z0-9.-]{2,100} )"""
)
_SPOKEN: Final = re.compile(
    r"(?i)\b(?:host|hostname|node|machine)\s(?=[a-z0-9.-]{0,200}\d)([a-z][a-z0-9]{0,40}(?:[.-][a-z0-9]{1,40}){1,5}|(?:node|host|gpu|worker|compute|cn|srv)\d{1,6})\b"
)
"""`host gpu-node-17`: a name with a digit in it after the word."""
_DOMAIN: Final = re.compile(
    r"\b(?:[A-Za-z0-9-]{1,63}\.){1,6}(?:local|internal|lan|corp|intra|intranet|cluster|hpc|localdomain)"
    r"(?:(?:\.[A-Za-z0-9-]{1,63}){0,3}\.(?:com|net|org|edu|gov|io|ai|cn|de|fr|uk|eu|jp|kr|ch)\b|(?!\.?\w))"
)
_NUMBERED: Final = re.compile(
    r"\b(?=[a-z-]{1,40}\d)[a-z][a-z0-9-]{1,60}(?:\.[a-z0-9-]{2,63}){1,4}\.(?:com|net|org|edu|gov|cn|de|fr|uk|eu|jp|kr|ch)\b"
)
"""`gpu17.dc2.example.com`: a machine by its full name; `download.pytorch.org` has no number."""
_CLOUD: Final = re.compile(r"\bip-\d{1,3}-\d{1,3}-\d{1,3}-\d{1,3}\b")
_IPV4: Final = re.compile(r"(?<![\w.=+-])((?:\d{1,3}\.){3}\d{1,3})(?![\w.+]|-\w)")
_IPV6: Final = re.compile(
    r"(?<![\w:.])((?:[0-9a-f]{1,4}:){3,7}[0-9a-f]{1,4}|(?:[0-9a-f]{1,4}:){1,6}(?::[0-9a-f]{1,4}){1,6})(?![\w:.])"
)
_VERSIONED: Final = re.compile(r"[A-Za-z][\w.-]*(?:\s{2,}|\s*==\s*|\s+version\s+|\s+v|\s*:\s*)$", re.IGNORECASE)
_CUT: Final = re.compile(
    r"""(?x)
      (?: \b[a-z][a-z0-9+.-]{1,15}:// (?P<login> [^\s/@:]{1,100} : (?!\d{1,5}(?:…|$)) [^\s/@]{1,200} )
        | \b (?P<token> (?:hf_|gh[pousr]_|github_pat_|glpat-|sk-|xox[abprs]-|AKIA|ASIA|AIza|eyJ)
                        (?=[a-z_-]{0,40}[A-Z0-9]) [\w-]{2,200} )
        | (?:api[_-]?key|secret|passw(?:or)?d|_token) ["']? \s? [=:] \s? ["']? (?P<keyed> [^\s"',;}\])\[]{2,5} )
      ) (?=…|$)"""
)
"""A secret that the end of a shortened text cuts off: too short for the patterns above, or without what follows it."""
_LAST_WORD: Final = re.compile(r"(?<![A-Za-z0-9_.:-])[A-Za-z0-9_.:-]{4,200}(?=…|$)")
"""What may be the beginning of a known name or secret: four letters or more before a cut."""
_SHORTENED: Final = 80
"""Texts at least this long, and those with `…`, may have lost their end."""
_PUBLIC_HOSTS: Final = frozenset({"localhost", "none", "null", "true", "false", "auto", "unknown", "self", "name", "memory"})
_PUBLIC_IPS: Final = frozenset({"127.0.0.1", "0.0.0.0", "255.255.255.255"})  # noqa: S104 (compared, not bound)
_COMMON_USERS: Final = frozenset(
    {"root", "user", "users", "ubuntu", "admin", "work", "data", "test", "home", "jovyan", "runner", "shared", "public", "model"}
)
_KEPT: Final = frozenset(
    {"digest", "kind", "rule", "severity", "confidence", "verdict", "outcome", "metric", "reader", "state", "packages"}
)
"""Fields that hold words of ours, digests, or versions (`9.10.2.21` is cuDNN, not an address)."""


@dataclass(frozen=True, slots=True)
class Redaction:
    """What was taken out: `kind` is user, host, ip, email or secret; `count` how many places."""

    kind: str
    count: int


def redact(diagnosis: Diagnosis) -> tuple[Diagnosis, list[Redaction]]:
    """The diagnosis without private names and secrets, and what was taken out (empty where nothing was)."""
    return redact_value(diagnosis)


def redact_value(diagnosis: T) -> tuple[T, list[Redaction]]:
    """What `redact` does, for any tree of dataclasses (a comparison, for instance)."""
    work = _Redactor()
    work.visit(diagnosis, work.learn)
    work.counts.clear()
    cleaned = work.visit(diagnosis, work.clean)
    return cleaned, [
        Redaction(kind, work.counts[kind]) for kind in ("user", "host", "ip", "email", "secret") if kind in work.counts
    ]


def redact_row(row: Row) -> Row:
    """A row of a batch's index without what `redact` takes out; the name of its page stays."""
    work = _Redactor()
    work.visit(row, work.learn)
    cleaned: Row = work.visit(row, work.clean)
    return replace(cleaned, href=row.href)


def redact_text(text: str) -> str:
    """One text, a path for instance, without what `redact` takes out."""
    work = _Redactor()
    work.learn(text)
    return work.clean(text)


class Batch:
    """Takes the same things out of many values, one after another; a name has one substitute in all of them."""

    def __init__(self) -> None:
        self._work = _Redactor()

    def __call__(self, value: T) -> T:
        """The value without private names and secrets: those it names itself, and those that one before it named."""
        self._work.visit(value, self._work.learn)
        cleaned: T = self._work.visit(value, self._work.clean)
        return cleaned


class _Redactor:
    """Names seen so far; first every text is read for names, then every text is cleaned of them."""

    def __init__(self) -> None:
        self.secrets: set[str] = set()
        self.users: dict[str, str] = {}
        self.hosts: dict[str, str] = {}
        self.ips: dict[str, str] = {}
        self.counts: dict[str, int] = {}
        self._names: re.Pattern[str] | None = None

    def visit(self, value: Any, change: Any) -> Any:
        """The value with `change` applied to every text in it."""
        if isinstance(value, str):
            return change(value)
        if isinstance(value, tuple | list):
            return type(value)(self.visit(item, change) for item in value) if value and not _is_plain(value) else value
        if isinstance(value, Mapping):
            return {change(str(key)): self.visit(item, change) for key, item in value.items()}
        if is_dataclass(value) and not isinstance(value, type):
            parts = {f.name: getattr(value, f.name) for f in fields(value) if f.init}
            return replace(value, **{k: v if k in _KEPT else self.visit(v, change) for k, v in parts.items()})
        return value

    def learn(self, text: str) -> str:
        """Remembers the users and hosts that a text names in so many words; the text itself stays."""
        for pattern in (_HOME, _USER):
            for match in pattern.finditer(text):
                self._learn(self.users, match[2], "user", _COMMON_USERS)
        for match in _LOGIN.finditer(text):
            if "." not in match[2] or _DOMAIN.fullmatch(match[2]):
                self._learn(self.users, match[1], "user", _COMMON_USERS)
                self._learn(self.hosts, match[2], "host", _PUBLIC_HOSTS)
        for pattern, group in ((_HOST, 2), (_SPOKEN, 1), (_DOMAIN, 0), (_NUMBERED, 0), (_CLOUD, 0)):
            for match in pattern.finditer(text):
                if any(mark.isdigit() or mark in ".-" for mark in match[group]):
                    self._learn(self.hosts, match[group].rstrip(".-"), "host", _PUBLIC_HOSTS)
        for pattern, group in ((_SECRETS, 0), (_URL_LOGIN, 2), (_BEARER, 3), (_SIGNED, 2)):
            self.secrets.update(match[group] for match in pattern.finditer(text))
        return text

    def _learn(self, names: dict[str, str], name: str, kind: str, common: frozenset[str]) -> None:
        if len(name) > 2 and name.lower() not in common and not name.startswith("[") and name not in names:
            self._names = None
            names.setdefault(name, f"[{kind}-{len(names) + 1}]" if names or kind == "host" else f"[{kind}]")

    def clean(self, text: str) -> str:
        """The text without names and secrets."""
        text = self._count("secret", _SECRETS, lambda _: "[secret]", text)
        text = self._count("secret", _KEYED, _keep_word, text)
        text = self._count("secret", _BEARER, lambda m: f"{m[1]}{m[2]}[secret]", text)
        text = self._count("secret", _URL_LOGIN, lambda m: f"{m[1]}[secret]@", text)
        text = self._count("secret", _SIGNED, lambda m: f"{m[1]}[secret]", text)
        text = self._count("email", _EMAIL, lambda _: "[email]", text)
        text = self._replace_names(text)
        if len(text) >= _SHORTENED or "…" in text:
            text = self._clean_ends(text)
        for pattern in (_IPV4, _IPV6):
            text = self._count("ip", pattern, self._address, text)
        return text

    def _clean_ends(self, text: str) -> str:
        """The text without beginnings of names and secrets: what is left of them where the text was cut."""
        text = self._count("secret", _CUT, _cut_off, text)
        for kind, known in (("secret", dict.fromkeys(self.secrets, "[secret]")), ("host", self.hosts), ("user", self.users)):
            text = self._count(kind, _LAST_WORD, lambda m, known=known: _begun(m[0], known), text)
        return text

    def _replace_names(self, text: str) -> str:
        if self._names is None:
            known = sorted((*self.users, *self.hosts), key=len, reverse=True)
            self._names = re.compile(
                r"(?<![A-Za-z0-9])(?:" + "|".join(map(re.escape, known)) + r")(?![A-Za-z0-9])" if known else r"(?!)"
            )
        text = self._count("host", self._names, lambda m: self.hosts.get(m[0], m[0]), text)
        return self._count("user", self._names, lambda m: self.users.get(m[0], m[0]), text)

    def _address(self, match: re.Match[str]) -> str:
        address = match[1]
        if address in _PUBLIC_IPS or ("." in address and any(int(part) > 255 for part in address.split("."))):
            return match[0]
        if ":" in address and not _is_ipv6(address):
            return match[0]
        if _VERSIONED.search(match.string[max(0, match.start() - 60) : match.start()]):
            return match[0]
        return match[0].replace(address, self.ips.setdefault(address, f"[ip-{len(self.ips) + 1}]"))

    def _count(self, kind: str, pattern: re.Pattern[str], put: Any, text: str) -> str:
        def one(match: re.Match[str]) -> str:
            made: str = put(match)
            if made != match[0]:
                self.counts[kind] = self.counts.get(kind, 0) + 1
            return made

        return pattern.sub(one, text)


def _begun(word: str, known: Mapping[str, str]) -> str:
    return next((put for name, put in known.items() if name.startswith(word)), word)


def _cut_off(match: re.Match[str]) -> str:
    cut: str = match["login"] or match["token"] or match["keyed"]
    return match[0][: len(match[0]) - len(cut)] + "[secret]"


def _keep_word(match: re.Match[str]) -> str:
    """`api_key=…` loses its value; a word such as None, a path or a number of tokens keeps it."""
    value = match[2]
    is_secret = any(mark.isdigit() for mark in value) or match[1].rstrip().endswith(("=", ":", '"', "'"))
    if not is_secret or value.lower() in ("none", "null", "true", "false") or value.startswith(("[", "<", "$", "*")):
        return match[0]
    return f"{match[1]}[secret]"


def _is_ipv6(text: str) -> bool:
    """Tells an address from a duration (1:02:03:04) and from a C++ name (c10::ad)."""
    return any(mark in "abcdef" for mark in text) and (text.count(":") >= 3 or text.startswith(("fe80", "fd", "fc", "2")))


_SHORT: Final = 16


def _is_plain(values: Any) -> bool:
    """Whether a sequence is a long one of numbers (a curve), in which there is nothing to hide.

    A short one is looked through whatever it begins with: a line of context is (line number, text).
    """
    return len(values) > _SHORT and isinstance(values[0], int | float) and isinstance(values[-1], int | float)
