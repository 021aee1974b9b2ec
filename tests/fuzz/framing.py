"""Bytes of a fuzzer → files whose check sums are right, so that what is behind the check sums is reached too."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from typing import Final

from parsers.wandb_records import BLOCK
from tests.parsers.events import framed

RECORD: Final = b"\xff\xfe"
"""Between two records in a fuzzer's input."""


def event_file(payloads: bytes) -> bytes:
    """Each payload as a record of an event file."""
    return b"".join(framed(payload) for payload in payloads.split(RECORD))


def wandb_log(payloads: bytes) -> bytes:
    """Each payload as a record of a transaction log."""
    return transaction_log(payloads.split(RECORD))


def transaction_log(records: Iterable[bytes]) -> bytes:
    """A transaction log as W&B's client frames it: records are cut where its blocks end."""
    data = bytearray(b":W&B" + struct.pack("<HB", 0xBEE1, 0))
    for record in records:
        at, is_first = 0, True
        while is_first or at < len(record):
            room = BLOCK - len(data) % BLOCK
            if room < 7:
                data += bytes(room)
                continue
            part = record[at : at + room - 7]
            at += len(part)
            kind = (1 if at >= len(record) else 2) if is_first else (4 if at >= len(record) else 3)
            data += struct.pack("<IHB", zlib.crc32(part, zlib.crc32(bytes([kind]))), len(part), kind) + part
            is_first = False
    return bytes(data)
