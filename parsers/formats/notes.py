"""What somebody tried, and whether it healed the run: remarks in a log, and files of notes beside it.

    # with overlap_comm false it trains fine                      tried:overlap-off = healed
    // downgraded deepspeed to 0.12.3: healthy                     tried:other-deepspeed = healed
    NOTE: same nan with attn_implementation eager                  tried:eager-attention, other-attention = failed
    UPDATE: rerun with the same seed breaks at another step        tried:rerun = other-step

A remark is a line that begins with `#`, `//`, `NOTE`, `UPDATE`, `EDIT`, `COMMENT` or `REMARK` (after the logger's own
beginning), or any line of a file called notes. It counts only where it states one change and its outcome in one
sentence: suggestions, questions, conditions and sentences with two changes say nothing that could be weighed.
No program prints these lines: they are written by hand (or pasted from a thread), so their facts have weight 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import Final

from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Fact, Record
from parsers.registry import text_reader

MAX_LENGTH: Final = 400
"""Characters of a remark: longer lines are prose or data."""
MAX_REMARKS: Final = 1000
"""Remarks that are read: a file with more of them is no notes, and what they state was stated before."""
_REMARK = Lazy(
    r"^\s{0,8}(?:\[[^\]]{1,40}\] ?){0,2}(?:#{1,3} ?|// ?|(?:NOTES?|UPDATE|EDIT|COMMENT|REMARK|Notes?|Update|Edit|Comment"
    r"|Remark) ?\d?: ?)(?P<text>\S.*)$"
)
_MARK = re.compile(rb"#|//|(?i:NOTE|UPDATE|EDIT|COMMENT|REMARK)")
"""One of these stands before a remark in a file that is not all remarks."""
_FILE = Lazy(r"(?:.*[-_.])?(?:notes?|remarks?)(?:\.(?:md|txt|rst|log))?", re.IGNORECASE)
_SENTENCE = Lazy(r";|(?<=[^\d\s])\.(?:\s+|$)|,? but |, while |, whereas ")
_OPEN = Lazy(
    r"\?|\b(?:if|whether|maybe|perhaps|might|may|should|could|would|will|try|todo|please|suggest\w*|recommend\w*|can"
    r"|need|let'?s|wonder\w*|expect\w*|plan\w*|next)\b",
    re.IGNORECASE,
)
_FAILED = Lazy(
    r"\b(?:still|same (?:nan|error|problem|result|issue|crash|hang)|(?:did|does|do) ?n[o']t (?:help|work|fix|solve|heal|change)"
    r"|(?:no|without) (?:effect|difference|change|improvement)|no help|not (?:fixed|solved|healed|healthy|fine|stable|better)"
    r"|isn't|fails? (?:too|as well|again|all the same)|failed|nan (?:too|as well|again|all the same)|useless|in vain)\b",
    re.IGNORECASE,
)
_HEALED = Lazy(
    r"\b(?:(?:it |this |that |which |run |training |loss |everything |all )?(?:is |was |runs? |trains? |works? |looks? |goes "
    r"|went ){0,2}(?:fine|healthy|normal(?:ly)?|ok|okay|stable|good|well)|works?|worked|heal(?:s|ed)|fix(?:es|ed)|solv(?:es|ed)"
    r"|resolv(?:es|ed)|mend(?:s|ed)|cur(?:es|ed)|disappear(?:s|ed)|vanish(?:es|ed)|gone|no (?:more )?nans?\b|converges?"
    r"|no longer (?:nan|fails|crashes|hangs|happens)|helps|helped)\b",
    re.IGNORECASE,
)
_RERUN = Lazy(
    r"\b(?:re-?run|second run|run again|same seed|repeat(?:ed)?)\b.{0,80}\b(?:breaks|broke|fails|failed|nan|dies|died|diverge[sd]"
    r"|stops|stopped|happens|happened)\b.{0,30}\bat (?:the |an?)?(?P<which>same|exactly the same|other|another|different) step\b",
    re.IGNORECASE,
)
_OFF = r"(?:\W{0,4}(?:set |turned |switched |to |is |was |= ?|: ?){0,3}(?:false|off|disabled|0)\b)"
_NO = r"(?:without|no|disabl(?:ed|ing)|turn(?:ed|ing) off|switch(?:ed|ing) off|removed|removing|dropped|dropping) (?:the )?"
_TO = r"(?:with|on|in|under|using|used|switch(?:ed|ing) to|mov(?:ed|ing) to|chang(?:ed|ing) to|going to|went to|to) (?:the )?"
_VERSION = (
    r"(?:downgrad(?:ed|ing)|upgrad(?:ed|ing)|updat(?:ed|ing)|pinn(?:ed|ing)|went back to|back to|switch(?:ed|ing)|with|using|on"
    r"|rolled back(?: to)?|install(?:ed|ing)) (?:the )?{name}(?: version)?(?: ?==? ?| to | from [\w.]{{1,12}} to | at | v| )"
    r"v?\d+\.\d+[\w.]{{0,12}}"
)
_CHANGES: Final[tuple[tuple[tuple[str, ...], Lazy], ...]] = tuple(
    (names, Lazy(pattern, re.IGNORECASE))
    for names, pattern in (
        (("overlap-off",), rf"\boverlap_comm{_OFF}|{_NO}(?:the )?overlap(?:_comm|ping| of)?\b"),
        (("stage-3",), r"\b(?:zero[- _]?(?:stage[- ]?)?|stage[- ]?)3\b"),
        (("single-gpu",), r"\b(?:single|one|1)[- ](?:gpu|card|device)\b"),
        (("cudnn-sdpa-off",), rf"enable_cudnn_sdp\(False\)|TORCH_CUDNN_SDPA_ENABLED=0|\bcudnn[-_ ](?:sdpa|attention){_OFF}"
                              rf"|{_NO}cudnn[-_ ](?:sdpa|attention)\b"),
        (("eager-attention", "other-attention"), r"\b(?:attn_implementation|attention|attn)\W{0,3}(?:= ?|to |: ?)?\W?eager\b"
                                                 r"|\beager attention\b|\bflash_attn\W{1,3}(?:disabled|off)\b"),
        (("other-attention",), rf"\b(?:attn_implementation|attention|flash_attn|attn)\W{{0,3}}(?:= ?|to |: ?)?\W?(?:sdpa|fa2"
                               rf"|flash_attention_2)\b|\b{_TO}(?:an)?other attention\b|\b{_TO}(?:flash[- _]?attention|sdpa)\b"),
        (("bf16",), r"\b(?:bf16|bfloat16)\b"),
        (("fp32",), r"\b(?:fp32|float32|full precision)\b"),
        (("batch-1",), rf"\b(?:{_TO})?(?:micro[- ]?)?batch[- _]size(?: of)?\W{{0,3}}1\b(?!\.)"),
        (("other-deepspeed",), rf"\b{_VERSION.format(name='deepspeed')}"),
        (("other-transformers",), rf"\b{_VERSION.format(name='transformers')}"),
        (("other-torch",), rf"\b{_VERSION.format(name='(?:py)?torch')}"),
        (("other-template",), r"\b(?:other|another|different|right|correct|fixed) (?:chat |conversation |conv )?template\b"),
        (("longer-max-length",), r"\b(?:longer|larger|bigger|higher|increas(?:ed|ing)|rais(?:ed|ing)) (?:the )?(?:model_)?"
                                 r"(?:max_(?:seq_)?len(?:gth)?|cutoff_len|max(?:imum)? (?:sequence )?length)\b"),
        (("lower-lr",), r"\b(?:lower(?:ed|ing)?|smaller|reduc(?:ed|ing)|decreas(?:ed|ing)) (?:the )?(?:lr|learning[ _]rate)\b"),
        (("gas-1",), rf"\b(?:gradient_accumulation_steps|grad_accum|gas)(?: of)?\W{{0,3}}(?:= ?|to |: ?)?1\b|{_NO}(?:gradient )?"
                     rf"accumulation\b"),
        (("no-offload",), rf"{_NO}(?:cpu |optimizer )?offload(?:ing)?\b|\boffload(?:ing)?{_OFF}"),
        (("no-compile",), rf"{_NO}(?:torch[._ ])?compil(?:e|ing|ation)\b|\btorch[._]compile{_OFF}"),
        (("no-clipping",), rf"{_NO}(?:gradient )?clipping\b"),
        (("no-packing",), rf"{_NO}(?:sample )?packing\b|\b(?:sample_|neat_)?packing{_OFF}"),
        (("other-gpu",), rf"\b{_TO}(?:an?)?(?:other|different) (?:gpus?|machine|node|card|host)\b"),
        (("other-data",), rf"\b{_TO}(?:an?)?(?:other|different) (?:data ?set|data)\b"),
        (("other-optimizer",), rf"\b{_TO}(?:an?)?(?:other|different) optimizer\b"),
        (("no-fp8",), rf"{_NO}fp8\b|\bfp8{_OFF}"),
        (("filter-off",), rf"\blogging_nan_inf_filter{_OFF}"),
    )
)  # fmt: skip
"""What was changed, the names of its facts; the first that fits a stretch of words has it."""


HINTS: Final = (
    " fine", " works", " worked", "healthy", "fixed", "fixes", "solve", "resolve", " normal", " help", " still ", " same ",
    " gone", " heal", "no nan", "no NaN", " converges", " stable", "disappear", " failed", " fails", " step",
    "no effect", "no difference", " ok", " OK",
)  # fmt: skip


def _is_notes(path: str) -> bool:
    return _FILE.fullmatch(PurePath(path).name) is not None


@text_reader(
    "notes",
    title="Remarks on what was tried and whether it healed the run",
    hints=HINTS,
    is_dull=lambda _, bare: _MARK.search(bare, 0, 600) is None,
    reads_all=_is_notes,
    example="# with overlap_comm false it trains fine",
)  # fmt: skip
class Notes:
    """Reads each remark by itself; the same statement counts once."""

    hungry = False

    def __init__(self) -> None:
        self._seen: set[tuple[str, str]] = set()
        self._read = 0
        self._file, self._is_file_of_notes = "", False
        self.spent: list[bytes] = []

    def refutes(self, _: Iterable[bytes], fragment: bytes) -> bool:
        """Whether a line is certainly no remark."""
        return bool(self._file) and not self._is_file_of_notes and _MARK.search(fragment, 0, 600) is None

    def feed(self, line: Line) -> Iterable[Record]:
        """The facts that one remark states."""
        if line.file != self._file:
            self._file, self._is_file_of_notes = line.file, _is_notes(line.file)
        if len(line.text) > MAX_LENGTH:
            return
        remark = _REMARK.match(line.text)
        if remark or self._is_file_of_notes:
            self._read += 1
            if self._read == MAX_REMARKS:
                self.spent += [hint.encode() for hint in HINTS]
            for key, value in statements(remark["text"] if remark else line.text):
                if (key, value) not in self._seen:
                    self._seen.add((key, value))
                    yield Fact(key, value, line.ref, 1)

    def close(self) -> Iterable[Record]:
        """Nothing is left over."""
        return ()


def statements(text: str) -> Iterator[tuple[str, str]]:
    """(fact, outcome) of every sentence that states one change and what came of it."""
    start = 0
    for end, after in [*((found.start(), found.end()) for found in _SENTENCE.finditer(text)), (len(text), len(text))]:
        sentence, start = text[start:end], after
        rerun = _RERUN.search(sentence)
        if rerun and not _OPEN.search(sentence):
            yield "tried:rerun", "same-step" if rerun["which"].lower().endswith("same") else "other-step"
        elif names := _changed(sentence):
            outcome = _outcome(sentence)
            if outcome:
                yield from ((f"tried:{name}", outcome) for name in names)


def _changed(sentence: str) -> tuple[str, ...]:
    """The names of the one change that a sentence tells of; none where it tells of several."""
    found: list[tuple[tuple[str, ...], int, int]] = []
    for names, pattern in _CHANGES:
        for match in pattern.finditer(sentence):
            if all(match.start() >= end or match.end() <= begin for _, begin, end in found):
                found.append((names, match.start(), match.end()))
    return found[0][0] if len({names for names, _, _ in found}) == 1 else ()


def _outcome(sentence: str) -> str:
    if _OPEN.search(sentence):
        return ""
    if _FAILED.search(sentence):
        return "failed"
    return "healed" if _HEALED.search(sentence) else ""
