"""The last line of a Python traceback: `module.NameError: message`, whole, alone, or torn by other processes."""

from __future__ import annotations

from typing import Final

from parsers.exception_kinds import Raised, classify
from parsers.lazy import Lazy

MAX_MESSAGE: Final = 240
"""Characters of a message that are kept."""
_KEPT_END: Final = 57
"""Of a longer one these last characters are kept: a command line of a page ends with what became of it."""
_MAX_LINE: Final = 8000

_LINE: Final = Lazy(r"(?P<name>[A-Za-z_][\w.]*(?:\([\w.]{1,80}\))?)(?:: ?(?P<message>.*))?$")
_SUFFIX: Final = Lazy(
    r"(?:Error|Exception|Interrupt|Exit|Fail(?:ure|ed)|Fault|Timeout|TimedOut|Iteration|Hit|Killed|Expired|Abort(?:ed)?|NotFound"
    r"|Refused)$"
)
_TORN: Final = Lazy(r"([A-Z][A-Za-z]{2,60}?(?:Error|Exception|Interrupt))(?![a-z_])")
_IMPORT: Final = Lazy(r"(?:E +)?(?P<message>cannot import name '[\w.]{1,80}' from '[\w.]{1,120}'.*)")
_TOO_GENERAL: Final = frozenset({"Error", "Exception", "error", "InternalError", "CompileError"})
"""Names that prose and other programs use too: alone they count only where the message is known."""


def parse(text: str) -> tuple[str, str] | None:
    """`module.NameError: message` → (name, message), or None where the line is no exception's."""
    found = _LINE.match(text[:_MAX_LINE])
    if not found:
        return None
    name = found["name"].partition("(")[0]
    last = name.rpartition(".")[2]
    is_dotted = "." in name and last[:1].isupper() and not last.isupper()
    if not (is_dotted or _SUFFIX.search(last)) or ".." in name or name.endswith("."):
        return None
    return name, shortened((found["message"] or "").strip())


def parse_bare(text: str) -> tuple[str, str] | None:
    """An exception line that stands alone, without its stack: stricter, since prose looks alike."""
    if found := _IMPORT.match(text):
        return "ImportError", shortened(found["message"])
    raised = parse(text)
    if raised is None or not raised[1] or not _SUFFIX.search(raised[0]):
        return None
    if raised[0] in _TOO_GENERAL and not classify(Raised(*raised)).kind:
        return None
    return raised


def find_torn(text: str) -> list[str]:
    """Names of exceptions in a line that several processes wrote into at once."""
    return [found[1] for found in _TORN.finditer(text[:2000])]


def shortened(message: str) -> str:
    """A message of at most 240 characters: of a longer one the middle is left out."""
    if len(message) <= MAX_MESSAGE:
        return message
    return f"{message[: MAX_MESSAGE - _KEPT_END - 3]} … {message[-_KEPT_END:]}"
