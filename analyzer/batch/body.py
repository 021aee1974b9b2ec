"""A diagnosis as the cache keeps it: small and quick to write, a thousand times a second.

One byte that says whether every curve has all its points, then a zstd frame: the length of a JSON text and a line feed, the
text (the result document without its curves, and how many points of each are kept), and the curves' steps, values and line
numbers one after the other as they are in memory. Two thirds of a document are numbers, and writing them out as text took
longer than all rules.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, Final

from analyzer.model import Curve, Diagnosis
from analyzer.output import document

Samples = tuple[Sequence[int], Sequence[float], Sequence[int]]
"""Steps, values and lines of a metric."""
LEVEL: Final = 1
"""Four times smaller in a thirtieth of a millisecond; the highest level would save a tenth more."""
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, check_circular=False)
"""Made once: a document holds nothing that holds itself."""
_WHOLE, _THINNED = b"w", b"t"


def packed(diagnosis: Diagnosis) -> bytes:
    """What is kept of a diagnosis."""
    curves = diagnosis.run.curves
    told = {"document": document.document(diagnosis, with_curves=False), "kept": [len(one.steps) for one in curves]}
    text = _ENCODER.encode(told).encode("utf-8", "backslashreplace")
    flag = _THINNED if any(one.points > len(one.steps) for one in curves) else _WHOLE
    whole = b"".join((b"%d\n" % len(text), text, *_numbers(curves)))
    return b"".join((flag, _compressor().compress(whole)))


def _numbers(curves: Sequence[Curve]) -> Iterator[bytes]:
    for one in curves:
        yield array("q", one.steps).tobytes()
        yield array("d", one.values).tobytes()
        yield array("q", one.lines).tobytes()


def unpacked(body: bytes) -> Diagnosis:
    """The diagnosis again."""
    told, numbers = _parts(body)
    for (_, entry), (steps, values, lines) in zip(
        told["document"]["run"]["metrics"].items(), _samples(told, numbers), strict=True
    ):
        entry["curve"] = {"steps": steps, "values": values, "lines": lines}
    return document.load(told["document"])


def samples(body: bytes) -> dict[str, Samples]:
    """Metric → its points, as far as they are kept."""
    told, numbers = _parts(body)
    return dict(zip(told["document"]["run"]["metrics"], _samples(told, numbers), strict=True))


def is_thinned(body: bytes) -> bool:
    """Whether a curve has lost points; told without unpacking."""
    return body[:1] != _WHOLE


def _parts(body: bytes) -> tuple[dict[str, Any], memoryview]:
    whole = _decompressor().decompress(body[1:])
    length, _, _ = whole[:20].partition(b"\n")
    start = len(length) + 1
    end = start + int(length)
    told: dict[str, Any] = json.loads(whole[start:end])
    return told, memoryview(whole)[end:]


def _samples(told: dict[str, Any], numbers: memoryview) -> Iterator[Samples]:
    at = 0
    for count in told["kept"]:
        steps, values, lines = array("q"), array("d"), array("q")
        for column in (steps, values, lines):
            column.frombytes(numbers[at : at + 8 * count])
            at += 8 * count
        yield steps, values, lines


@cache
def _compressor() -> Any:
    import zstandard

    return zstandard.ZstdCompressor(level=LEVEL)


@cache
def _decompressor() -> Any:
    import zstandard

    return zstandard.ZstdDecompressor()
