"""The extension says what Python says: of numbers, of blocks, and of whole logs."""

from __future__ import annotations

import os
import random
import re
import struct
import sys
import threading
import time
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from analyzer.diagnosis import known_signatures
from benchmarks import logs
from parsers import bounds, layout, native, said, skeletons
from parsers.forms import form_of
from parsers.landmarks import Sizes
from parsers.line import plain_stamp
from parsers.prepare import Fragments
from parsers.read import Job, make_router, read_job
from parsers.registry import Router, text_formats
from parsers.scanner import Scanner
from parsers.skeletons import MAX_KEPT, Kind, skeleton
from parsers.sorter import Lines, Sorter
from parsers.source import Block
from tests.parsers.engines import ENGINES, NOT_BUILT, used
from tests.parsers.test_plain import OTHERS, PLAIN, mixed, read, varied

NATIVE = native.extension()
built = pytest.mark.skipif(NATIVE is None, reason=NOT_BUILT)
FLOAT, COMMAS, INT, STAMP, DURATION = range(5)
NUMBER = re.compile(rb"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?")
LONGEST = 63
END, DIGITS, FIXED, BLOCKS = range(4)


@pytest.fixture(scope="module", autouse=True)
def forgotten() -> Iterator[None]:
    """What the odd lines of these tests look like must not be what other tests' lines are known by."""
    yield
    module = sys.modules["parsers.read"]
    module._ROUTERS.clear()
    module._router.cache_clear()


def test_where_ci_runs_the_extension_is_built() -> None:
    """Elsewhere the tests of it are skipped, and say so."""
    if os.environ.get("CI", "") not in ("", "0", "false") and not os.environ.get("NANALYZE_PURE"):
        assert NATIVE is not None, NOT_BUILT


def test_what_is_pure_by_wish_is_pure(monkeypatch: pytest.MonkeyPatch) -> None:
    native.extension.cache_clear()
    monkeypatch.setenv("NANALYZE_PURE", "1")
    assert native.extension() is None
    monkeypatch.undo()
    native.extension.cache_clear()
    assert native.extension() is NATIVE


@built
def test_an_extension_of_other_sources_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    native.extension.cache_clear()
    monkeypatch.setattr(NATIVE, "INTERFACE", native.INTERFACE + 1)
    assert native.extension() is None
    monkeypatch.undo()
    native.extension.cache_clear()
    assert native.extension() is NATIVE


# Single fields


def sorter():
    """A sorter of the extension's own."""
    assert NATIVE is not None
    return NATIVE.Sorter(random.getrandbits(64), random.getrandbits(64))


def ints(*numbers: int) -> bytes:
    return array("i", numbers).tobytes()


def field(text: bytes, what: int) -> float | int | None:
    """A field that a line's form says is all between its first byte and its last; None where the extension takes it for none."""
    line, own = b"a" + text + b"b", sorter()
    own.sort(line, False)
    runs = [(found.start(), found.end(), found[1]) for found in re.finditer(rb"(\d+)|[\xe2\x96\x88-\x8f]+", line)]
    starts, stops = [0, *(end for _, end, _ in runs)], [*(start for start, _, _ in runs), len(line)]
    kinds = [DIGITS if digits else BLOCKS for *_, digits in runs] + [END]
    stretches = [(stop - start, kind, 0, 0) for start, stop, kind in zip(starts, stops, kinds, strict=True)]
    last = len(runs)
    own.tell(0, 0, ints(*sum(stretches, ())), ints(what, 0, 1, last, stops[last] - starts[last] - 1))
    ((*_, columns, _),) = own.gather(1, b"\1")
    if columns is None:
        return None
    (value,) = struct.unpack("q" if what == INT else "d", columns[0])
    return value


def same(one: float | None, other: float | None) -> bool:
    """Whether two numbers are the same bits."""
    return (one is None) == (other is None) and (one is None or struct.pack("d", one) == struct.pack("d", other))


def number_of(text: bytes) -> float | None:
    """What float() says; `_` and words are Python's own way of writing."""
    return float(text) if NUMBER.fullmatch(text) and len(text) <= LONGEST else None


DECIMALS = st.from_regex(rb"[-+]?(?:[0-9]{1,25}(?:\.[0-9]{0,25})?|\.[0-9]{1,25})(?:[eE][-+]?[0-9]{1,4})?", fullmatch=True)
WRITTEN = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.builds(
        lambda number, digits: f"{number:.{digits}e}", st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 25)
    ),
    st.builds(lambda number, digits: f"{number:.{digits}f}", st.floats(-1e15, 1e15), st.integers(0, 25)),
    st.builds(lambda whole, power: f"{whole}e{power}", st.integers(-(2**60), 2**60), st.integers(-360, 330)),
).map(str.encode)


@built
@given(st.one_of(DECIMALS, WRITTEN, st.text("0123456789+-.eE,_ xnaif", max_size=30).map(str.encode), st.binary(max_size=8)))
@settings(max_examples=1500, deadline=None)
@example(b"-0")
@example(b"-0.0e5")
@example(b"+5")
@example(b"1_0")
@example(b"")
@example(b".")
@example(b"1e")
@example(b"1e+")
@example(b"e5")
@example(b"9007199254740993")
@example(b"9007199254740992")
@example(b"9007199254740991e22")
@example(b"1e23")
@example(b"1.7976931348623159e308")
@example(b"-1e400")
@example(b"5e-324")
@example(b"2.4703282292062327e-324")
@example(b"2.2250738585072011e-308")
@example(b"0" * 70)
@example(b"0" * 62 + b"7")
@example(b"0.000000000000000000000000000000000000001")
@example(b"1" * 18)
@example(b"1" * 19)
@example(b"1e" + b"9" * 40)
@example(b"0e" + b"9" * 40)
@example(b"1e-" + b"0" * 40 + b"1")
@example(b"nan")
@example(b"inf")
@example(b"1\x000")
@example(b"1\n0")
def test_a_number_is_the_one_that_python_reads(text: bytes) -> None:
    if b"\n" not in text and b"\r" not in text:
        assert same(field(text, FLOAT), number_of(text)), text


@built
@given(st.one_of(st.text("0123456789,.", min_size=1, max_size=30), st.integers(0, 10**24).map("{:,}".format)).map(str.encode))
@settings(max_examples=400, deadline=None)
@example(b",,1,,2.5")
@example(b"1.5,5")
@example(b",")
def test_a_number_with_commas_is_read_without_them(text: bytes) -> None:
    found = field(text, COMMAS)
    bare = text.replace(b",", b"")
    assert found is None or same(found, float(bare))
    if re.fullmatch(rb"\d{1,3}(?:,\d{3})*(?:\.\d+)?", text) and len(text) <= LONGEST:
        assert same(found, float(bare))


@built
@given(st.one_of(st.integers(0, 10**20).map(str), st.text("0123456789-+. ", max_size=25)).map(str.encode))
@settings(max_examples=400, deadline=None)
@example(b"1000000000000000")
@example(b"1000000000000001")
@example(b"0" * 63)
@example(b"0" * 64)
@example(b"9" * 300)
def test_a_count_is_the_one_that_python_reads(text: bytes) -> None:
    is_count = text.isdigit() and len(text) <= LONGEST and int(text) <= layout._LONG
    assert field(text, INT) == (int(text) if is_count else None)


STAMPS = st.from_regex(rb"[12][0-9]{3}-[01][0-9]-[0-3][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2}(,[0-9]{3})?", fullmatch=True)


@built
@given(st.one_of(STAMPS, st.text("0123456789-: ,", min_size=17, max_size=25).map(str.encode)))
@settings(max_examples=600, deadline=None)
@example(b"2024-02-31 10:00:09,017")
@example(b"1970-01-01 00:00:00,000")
@example(b"1970-01-02 00:00:00")
@example(b"1969-12-31 23:59:59")
@example(b"2199-12-31 99:99:99,999")
@example(b"2200-01-01 00:00:00")
@example(b"2024-00-10 10:00:00")
@example(b"2024-02-00 10:00:00")
@example(b"2024-02-10 10:00:00.017")
def test_a_stamp_is_the_one_that_a_line_has(text: bytes) -> None:
    is_one = layout._STAMP.fullmatch(text) and not text.startswith(b"1970-01-01")
    assert same(field(text, STAMP), plain_stamp(text) if is_one else None), text


@built
@given(st.text("0123456789:", max_size=12).map(str.encode))
@settings(max_examples=600, deadline=None)
@example(b"02:03")
@example(b"9:02:03")
@example(b"9999:99:99")
@example(b"12345:00")
@example(b"1:2")
@example(b":02:03")
@example(b"1:02:03:04")
def test_a_duration_is_the_one_that_python_reads(text: bytes) -> None:
    expected = layout._DURATIONS[text] if layout._DURATION.fullmatch(text) else None
    assert same(field(text, DURATION), expected), text


# Blocks

PIECES = st.one_of(
    st.sampled_from(
        [b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r\n", b"\0", b"loss 1.5", b"loss 22.25", b"step 7", b"\xe2\x96\x88", b"\xe2\x96",
         b"12345", b"x" * 1999, b"x" * 2000, b"x" * 2001, b"7" * 3000, b"\xff\xfe", b" ", b"1\x001", b"\xe2\x80\xa2"]
    ),
    st.binary(max_size=40),
)  # fmt: skip
DATA = st.lists(PIECES, max_size=40).map(b"".join)


def gathered(own, data: bytes, first: int, known: list[bytes]) -> list[tuple[bytes, int, bytes | None]]:
    """(fragment, number of its line, its skeleton, None for a long one) of all fragments of a block, as the extension sorts it."""
    size, feeds, fresh, texts = own.sort(data, b"\r\n" in data[:2048])
    assert fresh == len(known)
    assert feeds == data.count(b"\n")
    for kind, text in enumerate(texts.split(b"\n")[:-1], fresh):
        assert skeleton(own.line(kind)) == text
        own.tell(kind, kind)
        known.append(text)
    found: dict[int, tuple[bytes, int, bytes | None]] = {}
    for group, places, starts, stops, lines, columns, is_bare in own.gather(first, bytes([1]) * len(known)):
        assert columns is None and is_bare is False
        rows = zip(array("i", places), array("i", starts), array("i", stops), array("q", lines), strict=True)
        for place, start, stop, line in rows:
            found[place] = data[start:stop], line, known[group] if group >= 0 else None
    assert sorted(found) == list(range(size))
    return [found[place] for place in range(size)]


@built
@given(st.lists(st.tuples(DATA, st.booleans()), min_size=1, max_size=4), st.integers(1, 10**12))
@settings(max_examples=300, deadline=None)
@example([(b"", False), (b"\n", False), (b"\r", False), (b"\r\n", False)], 1)
@example([(b"a\r\nb\r", False), (b"a\rb\r\n", True), (b"\r\n\r", False)], 7)
@example([(b"\n" * 5000, False), (b"\r\n" * 3000, False)], 1)
def test_a_block_has_the_same_fragments_numbers_and_skeletons(blocks: list[tuple[bytes, bool]], first: int) -> None:
    own, known = sorter(), list[bytes]()
    for data, forgets in blocks:
        if forgets:
            own.forget()
            known.clear()
        _, texts, numbers = Fragments(Block(data, first)).made() if data else (b"", [], ())
        bare = [skeleton(text) for text in texts]
        expected = [
            (text, number, kept if len(kept) <= skeletons.MAX_SKELETON else None)
            for text, number, kept in zip(texts, numbers, bare, strict=False)
        ]
        assert gathered(own, data, first, known) == expected
    assert own.size() == (len(known), sum(len(text) + 1 for text in known))


@built
def test_every_byte_is_kept_or_left_out_as_python_does() -> None:
    data = bytes(byte for byte in range(256) if byte not in b"\r\n")
    *_, texts = sorter().sort(data, False)
    assert texts == data.translate(None, layout.DELETED) + b"\n"


@built
def test_many_kinds_are_told_apart() -> None:
    own = sorter()
    words = [f"{number:b}".replace("1", "a").replace("0", "b").encode() for number in range(40_000)]
    size, feeds, fresh, texts = own.sort(b"\n".join(words) + b"\n", False)
    assert (size, feeds, fresh) == (40_000, 40_000, 0)
    assert texts.split(b"\n")[:-1] == words
    assert own.sort(b"\n".join(reversed(words)), False) == (40_000, 39_999, 40_000, b"")


@built
def test_more_kinds_than_are_remembered_are_forgotten_and_learned_again() -> None:
    router = make_router()
    sort = Sorter(router.skeletons, NATIVE.Sorter)
    bar = b" 10%|#         | 10/250 [00:29<11:40,  2.92s/it]\n"
    for block in range(3):
        words = [f"{number:b}".replace("1", "a").replace("0", "b").encode() for number in range(12_000)]
        data = bar + b"".join(b"loss of %c %s\n" % (65 + block, word) for word in words) + bar
        size, feeds, found = sort.sort(data, 1, router.masks)
        assert size == feeds == 12_002
        assert [12_001 in lines.at and 0 in lines.at for lines in found if lines.kind.shape is not None] == [True]
        assert sum(len(lines.at) for lines in found if lines.kind.shape is None) in (0, 12_000)
        assert sort._own.size()[0] <= skeletons.MANY and sort._own.size()[1] <= MAX_KEPT
    assert sort._own.size() == (0, 0) and not sort._kinds and not sort._groups


# What a form may not do


SOUND = (ints(5, DIGITS, 0, 0, 2, END, 0, 0), ints(INT, 0, 5, 1, 0), ints(0, 2, 1, 0, 2), b"ab")


@built
@pytest.mark.parametrize(
    "program",
    [
        (b"abc",), (ints(1, END, 0),), (ints(1, DIGITS, 0, 0),), (ints(1, END, 0, 0, 1, END, 0, 0),), (ints(-1, END, 0, 0),),
        (ints(1, 7, 0, 0),), (ints(1, -1, 0, 0),), (ints(1, END, 0, 1),), (ints(1, END, -1, 0),), (ints(1, END, 2**31 - 1, 2**31 - 1),),
        (SOUND[0], ints(INT, 0, 6, 1, 0)), (SOUND[0], ints(INT, 0, 5, 1, 3)), (SOUND[0], ints(INT, 1, 0, 0, 0)),
        (SOUND[0], ints(INT, -1, 0, 1, 0)), (SOUND[0], ints(INT, 0, 0, 2, 0)), (SOUND[0], ints(5, 0, 5, 1, 0)),
        (SOUND[0], ints(INT, 0, -1, 1, 0)), (SOUND[0], ints(INT, 0, 5, 1, -1)), (SOUND[0], ints(INT, 0, 5, 1)),
        (*SOUND[:2], ints(2, 0, 0, 0, 1), b"ab"), (*SOUND[:2], ints(0, 6, 0, 0, 1), b"ab"), (*SOUND[:2], ints(0, 0, -1, 0, 1), b"ab"),
        (*SOUND[:2], ints(0, 0, 0, 1, 2), b"ab"), (*SOUND[:2], ints(0, 0, 0, 0, 0), b"ab"), (*SOUND[:2], ints(0, 0, 0, -1, 1), b"ab"),
        (ints(*(1, DIGITS, 0, 0) * 1024, 1, END, 0, 0),), (SOUND[0], SOUND[1] * 513), (*SOUND[:2], SOUND[2] * 65, b"ab"),
    ],
)  # fmt: skip
def test_a_form_that_is_none_is_refused(program: tuple[bytes, ...]) -> None:
    own = sorter()
    own.sort(b"step 10 x\n", False)
    with pytest.raises(ValueError, match="form"):
        own.tell(0, 0, *program)
    own.tell(0, 0, *SOUND)
    assert own.gather(1, b"\1")[0][5] == (struct.pack("q", 10),)


@built
def test_what_cannot_be_is_refused() -> None:
    own = sorter()
    with pytest.raises(ValueError, match="nothing was sorted"):
        own.gather(1, b"\1")
    for kind in (0, -1, 2**31, -(2**63)):
        with pytest.raises(IndexError):
            own.line(kind)
        with pytest.raises(IndexError):
            own.tell(kind, 0)
    own.sort(b"step 10 x\n", False)
    for group in (-2, 2**21, 2**31 - 1):
        with pytest.raises(ValueError, match="no group"):
            own.tell(0, group)
    for first in (-1, 2**63 - 1):
        with pytest.raises(ValueError, match="no line"):
            own.gather(first, b"\1")
    own.forget()
    with pytest.raises(ValueError, match="nothing was sorted"):
        own.gather(1, b"\1")
    with pytest.raises(IndexError):
        own.line(0)
    with pytest.raises(IndexError):
        own.tell(0, 0)
    for wrong in ("text", bytearray(b"x"), memoryview(b"x"), None):
        with pytest.raises(TypeError):
            own.sort(wrong, False)
    assert own.sort(b"step 11 x", False) == (1, 0, 0, b"step  x\n")
    for arguments in ((), (1,), (1, 2, 3), ("a", "b")):
        with pytest.raises(TypeError):
            NATIVE.Sorter(*arguments)
    with pytest.raises(TypeError):
        NATIVE.Sorter(1, 2, seed=3)


class Number:
    """An index that does something else while it is asked for."""

    def __init__(self, does) -> None:
        self.does = does

    def __index__(self) -> int:
        self.does()
        return 1


class Bytes(bytes):
    """Bytes that could do something when they go."""


@built
def test_code_that_runs_while_arguments_are_read_changes_nothing() -> None:
    own = sorter()
    own.sort(b"step 10 x\nstep 10 y\n", False)
    own.tell(0, 0)
    own.tell(Number(lambda: own.tell(1, 0)), 1)
    assert len(own.gather(Number(lambda: own.tell(1, 5000)), b"\1" * 5001)) == 2
    with pytest.raises(ValueError, match="nothing was sorted"):
        own.gather(Number(own.forget), b"\1")
    with pytest.raises(TypeError):
        own.sort(Bytes(b"step"), False)
    assert own.sort(b"x", Number(own.forget)) == (1, 0, 0, b"x\n")


@built
def test_kinds_of_other_forms_in_one_group_do_not_mix() -> None:
    own = sorter()
    own.sort(b"step 10 x\nstep 10 y 3\nstep 11 x\nstep 12\n", False)
    own.tell(0, 0, *SOUND)
    own.tell(1, 0, ints(5, DIGITS, 0, 0, 3, DIGITS, 0, 0, 0, END, 0, 0), ints(INT, 0, 5, 1, 0, INT, 1, 3, 2, 0))
    own.tell(2, 0)
    found = own.gather(1, b"\1")
    widths = {array("i", places)[0]: columns and len(columns) for _, places, _, _, _, columns, _ in found}
    assert sum(len(places) // 4 for _, places, *_ in found) == 4
    assert widths in ({0: None, 1: 2}, {0: 1, 1: None}), "one of both forms has columns, everything else none"


@built
def test_rows_are_numbered_and_picked_as_python_does() -> None:
    luck = random.Random(5)
    for size in (0, 1, 7, 300):
        places = sorted(luck.sample(range(size), size // 2))
        parts = [array("i", places[::2]), array("i", places[1::2])]
        rows = [("r", said.Rows(part, part, (), ())) for part in parts]
        block = said.Said(size, [], rows)
        with used("pure"):
            slow = block.numbers(5)
            chosen = said.pick(slow, parts[0])
        assert list(block.numbers(5)) == slow
        assert list(said.pick(block.numbers(5), parts[0])) == list(chosen)
    for wrong in (-1, 3, 2**31 - 1, -(2**31)):
        with pytest.raises(IndexError):
            NATIVE.numbered(3, 1, [ints(wrong)])
        with pytest.raises(IndexError):
            NATIVE.picked(bytes(24), ints(wrong))
    for size, first in ((-1, 0), (2**31, 0), (1, 2**63 - 1), (1, -(2**63))):
        with pytest.raises(ValueError):
            NATIVE.numbered(size, first, [])
    with pytest.raises(TypeError):
        NATIVE.numbered(3, 1, ["text"])
    assert NATIVE.picked(b"", b"") == b"" and NATIVE.picked(bytes(7), b"") == b""


# Whole logs


def shaken(luck: random.Random, text: str) -> str:
    """The line with runs of digits of other lengths, now and then with a digit or a block of a bar where there was none.

    Runs are one digit longer at most: columns take some longer numbers than the forms do (`\\d{1,15}`), which only a forger writes.
    """
    text = re.sub(r"\d+", lambda found: _run(luck, found[0]), text)
    if luck.random() < 0.2:
        at = luck.randrange(len(text) + 1)
        text = text[:at] + luck.choice(("7", "00", "█", "▎", ".", "-")) + text[at:]
    return text


def _run(luck: random.Random, digits: str) -> str:
    if luck.random() < 0.8:
        return "".join(luck.choice("0123456789") for _ in digits)
    return luck.choice((digits + "0", digits[1:], "0" + digits, "0", digits))


def shaken_log(seed: int, lines: int = 200) -> bytes:
    luck = random.Random(seed)
    chosen = luck.sample(PLAIN, 5)
    parts = []
    for _ in range(lines):
        text = shaken(luck, luck.choice(chosen)[1]) if luck.random() < 0.8 else varied(luck, luck.choice(OTHERS))
        parts.append(text + luck.choice(("\n", "\n", "\n", "\r", "\r\n", " \n", "")))
    return "".join(parts).encode()


def read_by(engine: str, data: bytes) -> str:
    return "\n".join(records_by(engine, data))


def records_by(engine: str, data: bytes, is_by_line: bool = False, size: int = 2**21) -> list[str]:
    """What is read by an engine; when a reader says what it had to wait for may depend on where the blocks end."""
    with used(engine):
        return [repr(record) for record in read(data, is_by_line, size=size)]


@built
@pytest.mark.parametrize("seed", range(60))
def test_a_log_of_odd_lines_reads_the_same(seed: int) -> None:
    data = shaken_log(seed)
    expected = read_by("pure", data)
    assert read_by("native", data) == expected
    whole = sorted(records_by("pure", data))
    assert sorted(records_by("native", data, size=997)) == whole
    assert sorted(records_by("native", data, is_by_line=True)) == whole


@built
@given(st.lists(st.one_of(PIECES, st.sampled_from([text.encode() for _, text in PLAIN])), max_size=30).map(b"".join))
@settings(max_examples=100, deadline=None)
def test_any_bytes_read_the_same(data: bytes) -> None:
    assert read_by("native", data) == read_by("pure", data)


@built
def test_lines_of_very_many_kinds_are_found_without_looking_through_all_of_them() -> None:
    data = b"".join(b"%d a line\n" % number for number in range(20_000))
    fragments = Fragments(Block(data, 1))
    every = [Lines(Kind(()), array("i", [at]), array("q", [at + 1]), b"", b"", None, False) for at in range(20_000)]
    fragments.sorted = every
    begin = time.process_time()
    assert [fragments.number(at) for at in range(20_000)] == list(range(1, 20_001))
    assert fragments.text(19_999) == b"19999 a line"
    assert time.process_time() - begin < 2


@built
@pytest.mark.parametrize("density", [0.05, 1.0])
@pytest.mark.parametrize("is_bounded", [False, True], ids=["whole", "thinned"])
def test_a_long_log_makes_the_same_tables(
    density: float, is_bounded: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.log"
    logs.write(path, 4 * 10**6, density)
    if is_bounded:
        monkeypatch.setattr(bounds, "WHOLE", Sizes(rows=400, cells=8_000, window=16, near=24, last=32, spots=16, buckets=8))
    made = []
    for engine in ENGINES:
        with used(engine):
            found = read_job(Job(str(path), None, False), known_signatures())
        assert not isinstance(found, Exception)
        made.append(repr((found.events, found.facts, found.problems, found.files, found.tables)))
    assert made[0] == made[1]
    assert ("thinned" in made[0] or "thinning" in made[0]) == is_bounded


@pytest.mark.parametrize("engine", ENGINES)
def test_forms_of_lines_that_never_come_again_are_not_all_made(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if engine == "native" and NATIVE is None:
        pytest.skip(NOT_BUILT)
    luck = random.Random(2)
    head = "[2023-12-08 10:11:12,345] [INFO] [logging.py:96:log_dist] [Rank 0] step=10, skipped=4, lr=[5e-06"
    lines = [f"{head}{', 5e-06' * luck.randrange(40)}], mom=[{''.join(luck.choices('-. e1', k=300))}]\n" for _ in range(1500)]
    data = "".join(lines).encode()
    monkeypatch.setattr(skeletons, "FORMS", 20)
    router = Router(text_formats())
    with used(engine):
        scanner = Scanner(router, "run.log", strict=True)
        said = sum(1 for _ in scanner.feed(Block(data, 1)))
    assert said >= 1500, "every line is read all the same"
    assert router.skeletons._formed >= 1500
    laid_out = [kind for kind in router.skeletons._same.values() if kind.layout is not None]
    assert len(laid_out) <= 21 + len(data) // skeletons.PER_FORM


# Interruptions


class LateError(BaseException):
    """What a time-out raises anywhere."""


@built
@pytest.mark.parametrize("where", ["kind", "one", "_group"])
def test_a_time_out_while_kinds_are_learned_silences_nothing(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    router = make_router()
    sort = Sorter(router.skeletons, NATIVE.Sorter)
    data = mixed(3)
    expected = told(sort.sort(data, 1, router.masks))
    sort._forget()
    owner = Sorter if where == "_group" else skeletons.Skeletons
    whole, calls = getattr(owner, where), [0]

    def late(*args):
        calls[0] += 1
        if calls[0] == 3:
            raise LateError
        return whole(*args)

    monkeypatch.setattr(owner, where, late)
    with pytest.raises(LateError):
        sort.sort(data, 1, router.masks)
    monkeypatch.undo()
    assert told(sort.sort(data, 1, router.masks)) == expected


def told(found) -> list[tuple[int, Sequence[int], Iterable[int]]]:
    size, feeds, kinds = found
    return [
        (size, feeds, []),
        *sorted(((lines.kind.shape and lines.kind.shape.number) or -1, [*lines.at], [*lines.numbers]) for lines in kinds),
    ]


@built
def test_who_comes_while_a_block_is_sorted_sorts_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    router = make_router()
    sort = Sorter(router.skeletons, NATIVE.Sorter)
    inner: list[object] = []

    def learn(self, first: int, fresh: bytes) -> None:
        inner.append(sort.sort(b"another block 5\n", 1, router.masks))

    monkeypatch.setattr(Sorter, "_learn", learn)
    sort.sort(b"a block 5\n", 1, router.masks)
    assert inner == [None]
    monkeypatch.undo()
    assert sort.sort(b"a block 5\n", 1, router.masks) is not None


@built
def test_threads_read_what_one_reads() -> None:
    logs = [mixed(seed, 1500) for seed in range(4)]
    with used("native"):
        expected = ["\n".join(repr(record) for record in read(data, False, size=20_000)) for data in logs]
    found = dict[int, str]()

    def work(index: int) -> None:
        for _ in range(2):
            found[index] = "\n".join(repr(record) for record in read(logs[index], False, size=20_000))

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(logs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[index] == expected[index] for index in range(len(logs))] == [True] * len(logs)


def test_a_form_watches_for_texts_that_begin_with_what_a_skeleton_leaves_out() -> None:
    line = b"step 10 \xe2\x96\x88 x 5"
    form = form_of(line, re.match(rb"step (\d+) [\x80-\xff]+ x \d+\Z", line), None, [b"\xe2\x96\x88 x", b"10 \xe2"])
    assert array("i", form.watches)[:5].tolist() == [2, 0, 3, 0, 5], "three bytes before the third stretch"
    assert array("i", form.watches)[10:15].tolist() == [1, 0, 2, 5, 4], "two bytes before the second"


def test_kinds_are_shared_by_what_they_are() -> None:
    router = make_router()
    one, other = Kind((1, 2)), Kind((1, 2))
    assert router.skeletons.one(one) is router.skeletons.one(other)
    router.skeletons.part()
