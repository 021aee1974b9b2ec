"""Event files by columns, with NumPy: what makes ten million scalars a matter of seconds.

A loop that logs the same tags at every step writes records whose lengths repeat with a period. Such a stretch of a file
is looked at as a matrix, one period a row, without copying (`_Stretch`). Where tags come in any order, records of one
length are gathered and compared with a model record (`_Gathering`). Whatever agrees with no model is handed back to
`tfevents`, record by record.

Every record's CRC is checked. It is linear: a record that differs from its model in a few bytes only differs in its CRC
by what these bytes contribute, so that the fixed bytes, which are compared anyway, cost nothing more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from parsers.tfevents import EventFile, add_frames, is_scalar_plugin
from parsers.tfevents_crc import crc32c
from parsers.tfevents_frames import FRAME, HEADER, Framer, Frames
from parsers.tfevents_layout import MAX_PAYLOAD, Layout, layout
from parsers.tfevents_numpy import distances

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]
    Whole = NDArray[np.int64]

_SAMPLE: Final = 256
"""Records that are looked at for a period."""
_LARGE: Final = 65_536
"""Most records that are gathered at once."""
_BLOCK: Final = 2 * 2**20
"""Bytes of a stretch that are decoded at once: enough rows that NumPy's overhead vanishes, few enough for the cache."""
_FEW: Final = 8
"""Fewer records of one length are taken one by one."""
_MISSES: Final = 16
_ROUNDS: Final = 48
"""Models that are tried on records of one length before the rest is taken one by one."""
_TRIES: Final = 4
_DELTA: Final = 0xA282EAD8


def decode_rest(framer: Framer, found: EventFile) -> None:
    """Files all further records of `framer` in `found`."""
    amount, period = _SAMPLE, 0
    while (frames := framer.take(amount)).starts:
        _Gathering(framer, found, frames).run()
        stretch = _stretch(framer.data, frames, found)
        if stretch is not None and stretch.run(framer):
            period = len(stretch.cells)
            amount = min(_LARGE, max(_SAMPLE, 3 * period))
        else:
            amount = min(_LARGE, amount * 4)
    _sort(found)


def _sort(found: EventFile) -> None:
    """Puts tags and the points of each into the order of the file: records were gathered length by length."""
    import numpy as np

    for key, column in found.scalars.items():
        lines = np.frombuffer(column.lines, np.int32)
        if len(lines) > 1 and (lines[1:] < lines[:-1]).any():
            order = np.argsort(lines, kind="stable")
            sorted_ = type(column)(column.tag, column.is_tensor)
            for name in ("lines", "steps", "times", "values"):
                getattr(sorted_, name).frombytes(_raw(np.asarray(getattr(column, name))[order]))
            found.scalars[key] = sorted_
    found.scalars = dict(sorted(found.scalars.items(), key=lambda item: item[1].lines[0]))


def _raw(values: NDArray[np.generic]) -> memoryview:
    """The bytes of an array, for `array.frombytes`."""
    import numpy as np

    return memoryview(np.ascontiguousarray(values).view(np.uint8).data)


@dataclass(slots=True)
class _Cell:
    """Records of one layout: how their changing bytes are found, checked and turned into numbers.

    Positions are relative to the payload. `contributions` holds what each value of each changing byte adds to the CRC.
    """

    shape: Layout
    changing: Whole = field(init=False)
    contributions: NDArray[np.uint32] = field(init=False)

    def __post_init__(self) -> None:
        import numpy as np

        shape = self.shape
        spans = (range(shape.time, shape.time + 8), range(*shape.step), range(shape.value, shape.value_end))
        self.changing = np.array([at for span in spans for at in span], np.int64)
        tables = distances(shape.size)
        self.contributions = np.concatenate([tables[shape.size - 1 - at] for at in self.changing])

    def blank(self, payload: bytes) -> bytes:
        """The payload with all changing bytes 0: its CRC is what all records like it have in common."""
        plain = bytearray(payload)
        for at in self.changing.tolist():
            plain[at] = 0
        return bytes(plain)

    def mask(self, with_tag: bool) -> Bytes:
        """Which bits of a payload and of the CRC behind it must agree with the model; a varint keeps its shape."""
        import numpy as np

        shape = self.shape
        mask = np.full(shape.size + 4, 255, np.uint8)
        mask[self.changing] = 0
        mask[shape.step[0] : shape.step[1]] = 128
        mask[shape.size :] = 0
        if not with_tag:
            mask[shape.tag[0] : shape.tag[1]] = 0
        return mask

    def numbers(self, rows: Bytes, base: int | NDArray[np.uint32]) -> _Numbers:
        """What these rows hold; `base` is the CRC of the blank payload (of each row, where they differ)."""
        import numpy as np

        shape, count = self.shape, len(rows)
        first, last = shape.time, max(shape.time + 8, shape.step[1])
        head = np.ascontiguousarray(rows[:, first:last].T)
        tail = np.ascontiguousarray(rows[:, shape.value : shape.value_end])
        changing = np.empty((len(self.changing), count), np.intp)
        changing[:8] = head[:8]
        width = shape.step[1] - shape.step[0]
        step = head[shape.step[0] - first : shape.step[1] - first] if width else head[:0]
        changing[8 : 8 + width] = step
        changing[8 + width :] = tail.T
        changing += (np.arange(len(self.changing), dtype=np.intp) * 256)[:, None]
        crc = np.bitwise_xor.reduce(self.contributions.take(changing), axis=0) ^ np.asarray(base, np.uint32)
        masked = (crc >> np.uint32(15) | crc << np.uint32(17)) + np.uint32(_DELTA)
        stored = np.ascontiguousarray(rows[:, shape.size : shape.size + 4]).view("<u4")[:, 0]
        times = np.ascontiguousarray(rows[:, shape.time : shape.time + 8]).view("<f8")[:, 0]
        with np.errstate(invalid="ignore"):  # a damaged value may be a signalling NaN
            values = tail.view(shape.value_type)[:, 0].astype(np.float64)
        return _Numbers(_varints(step, count), times, values, masked == stored)


def _varints(rows: Bytes, count: int) -> Whole:
    """Varints, one a column: int64."""
    import numpy as np

    total = np.zeros(count, np.uint64)
    for place, row in enumerate(rows):
        total |= (row & 127).astype(np.uint64) << np.uint64(7 * place)
    return total.view(np.int64)


@dataclass(slots=True)
class _Numbers:
    steps: Whole
    times: NDArray[np.float64]
    values: NDArray[np.float64]
    is_right: NDArray[np.bool_]

    def pick(self, index: Whole | NDArray[np.bool_] | slice) -> _Numbers:
        """These rows only."""
        return _Numbers(self.steps[index], self.times[index], self.values[index], self.is_right[index])


def _put(found: EventFile, tag: bytes, shape: Layout, lines: Whole, numbers: _Numbers) -> None:
    """Files the points of one tag; records whose CRC is wrong are reported instead."""
    import numpy as np

    if not numbers.is_right.all():
        for line in lines[~numbers.is_right][:64].tolist():
            found.losses.add(line, f"a record of {shape.size:,} bytes fails its checksum")
        found.losses.count += max(0, int((~numbers.is_right).sum()) - 64)
        lines, numbers = lines[numbers.is_right], numbers.pick(numbers.is_right)
    if not len(lines):
        return
    name = tag.decode("utf-8", "replace")
    if shape.plugin is not None:
        found.plugins.setdefault(name, shape.plugin)
    if shape.is_tensor and not is_scalar_plugin(found.plugins.get(name, "")):
        found.passed_over["tensor"] += len(lines)
        return
    column = found.column(name, shape.is_tensor)
    column.lines.frombytes(_raw(lines.astype(np.int32)))
    column.steps.frombytes(_raw(numbers.steps))
    column.times.frombytes(_raw(numbers.times))
    column.values.frombytes(_raw(numbers.values))


@dataclass(slots=True)
class _Stretch:
    """A period of records, as bytes of a row: (position of the payload, cell, CRC of its blank, tag)."""

    found: EventFile
    size: int
    cells: list[tuple[int, _Cell, int, bytes]]
    model: Bytes
    mask: Bytes

    def agrees(self, data: bytes, at: int) -> bool:
        """Whether a row of this shape stands at `at`."""
        import numpy as np

        if at < 0 or at + self.size > len(data):
            return False
        row = np.frombuffer(data, np.uint8, self.size, at)
        return not ((row ^ self.model) & self.mask).any()

    def run(self, framer: Framer) -> int:
        """Decodes rows from where the framer stands, as far as they agree; returns how many."""
        import numpy as np

        most = max(1, _BLOCK // self.size)
        model, mask = np.tile(self.model, most), np.tile(self.mask, most)
        total = 0
        while True:
            rows = min((len(framer.data) - framer.at) // self.size, most)
            if not rows:
                if framer.fill():
                    continue
                break
            flat = np.frombuffer(framer.data, np.uint8, rows * self.size, framer.at)
            differs = (flat ^ model[: len(flat)]) & mask[: len(flat)]
            good = int((differs != 0).argmax()) // self.size if _any(differs) else rows
            self._add(flat[: good * self.size].reshape(good, self.size), framer.records + 1)
            framer.at += good * self.size
            framer.records += good * len(self.cells)
            total += good
            if good < rows:
                break
        return total

    def _add(self, rows: Bytes, first: int) -> None:
        import numpy as np

        count, period = len(rows), len(self.cells)
        for index, (at, cell, base, tag) in enumerate(self.cells if count else ()):
            begin = first + index
            lines = np.arange(begin, begin + count * period, period, dtype=np.int64)
            _put(self.found, tag, cell.shape, lines, cell.numbers(rows[:, at : at + cell.shape.size + 4], base))


def _any(values: Bytes) -> bool:
    """Whether any byte is not 0, eight at a time."""
    import numpy as np

    whole = len(values) // 8 * 8
    return bool(values[:whole].view(np.uint64).any()) or bool(values[whole:].any())


def _stretch(data: bytes, frames: Frames, found: EventFile) -> _Stretch | None:
    """The period with which the last of these records repeat, if they do."""
    lengths, starts = frames.lengths[-2 * _SAMPLE * 2 :], frames.starts[-2 * _SAMPLE * 2 :]
    tries = 0
    tag = _tag(data, starts[-1], lengths[-1])
    for period in range(1, len(lengths) // 2 + 1):
        if lengths[-1 - period] != lengths[-1] or lengths[-period:] != lengths[-2 * period : -period]:
            continue
        if tag is None or _tag(data, starts[-1 - period], lengths[-1]) != tag:
            continue
        stretch = _model(data, starts[-period:], lengths[-period:], found)
        if stretch is not None and stretch.agrees(data, starts[-period] - HEADER - stretch.size):
            return stretch
        tries += 1
        if tries == _TRIES:
            break
    return None


def _tag(data: bytes, start: int, length: int) -> bytes | None:
    shape = layout(data[start : start + length])
    return data[start + shape.tag[0] : start + shape.tag[1]] if shape else None


def _model(data: bytes, starts: list[int], lengths: list[int], found: EventFile) -> _Stretch | None:
    import numpy as np

    size = sum(lengths) + FRAME * len(lengths)
    begin = starts[0] - HEADER
    model = np.frombuffer(data, np.uint8, size, begin)
    mask = np.full(size, 255, np.uint8)
    cells = []
    for start, length in zip(starts, lengths, strict=True):
        payload = data[start : start + length]
        shape = layout(payload)
        if shape is None:
            return None
        cell, at = _Cell(shape), start - begin
        mask[at : at + length + 4] = cell.mask(with_tag=True)
        cells.append((at, cell, crc32c(cell.blank(payload)), payload[slice(*shape.tag)]))
    return _Stretch(found, size, cells, model, mask)


@dataclass(slots=True)
class _Gathering:
    """Records in any order, decoded length by length."""

    framer: Framer
    found: EventFile
    frames: Frames
    slow: list[int] = field(default_factory=list)
    """Indexes of records that are taken one by one."""
    late: list[tuple[_Cell, Bytes, Whole]] = field(default_factory=list)
    """Tensors without metadata: their tag's plugin may stand in a record of this batch that is taken one by one."""

    def run(self) -> None:
        """Files all records of the batch."""
        import numpy as np

        lengths = np.array(self.frames.lengths, np.int64)
        starts = np.array(self.frames.starts, np.int64)
        order = np.argsort(lengths, kind="stable")
        cuts = np.flatnonzero(np.diff(lengths[order])) + 1
        for indexes in np.split(order, cuts):
            length = int(lengths[indexes[0]])
            if len(indexes) < _FEW or not 0 < length <= MAX_PAYLOAD:
                self.slow.extend(indexes.tolist())
            else:
                self._same_length(indexes, starts[indexes], length)
        chosen = sorted(self.slow)
        _add_chosen(self.framer, self.found, self.frames, chosen)
        for cell, rows, indexes in self.late:
            self._members(cell, rows, indexes)

    def _same_length(self, indexes: Whole, starts: Whole, length: int) -> None:
        import numpy as np

        data, size = self.framer.data, length + 4
        whole = np.ndarray((len(data) - size + 1,), f"V{size}", data, strides=(1,))
        rows = whole[starts].view(np.uint8).reshape(len(starts), size)
        misses = 0
        for _ in range(_ROUNDS):
            if not len(rows) or misses > _MISSES:
                break
            at = -1 if misses % 2 else 0  # what is no scalar often stands at one end of the batch
            shape = layout(rows[at].tobytes()[:length])
            if shape is None:
                misses += 1
                self.slow.append(int(indexes[at]))
                rows, indexes = (rows[:-1], indexes[:-1]) if at else (rows[1:], indexes[1:])
                continue
            cell = _Cell(shape)
            differs = ((rows ^ rows[at]) & cell.mask(with_tag=False)).any(axis=1)
            same = ~differs
            if shape.is_tensor and shape.plugin is None:
                self.late.append((cell, rows[same], indexes[same]))
            else:
                self._members(cell, rows[same], indexes[same])
            rows, indexes = rows[differs], indexes[differs]
        self.slow.extend(indexes.tolist())

    def _members(self, cell: _Cell, rows: Bytes, indexes: Whole) -> None:
        """Files records of one layout, whatever their tags."""
        import numpy as np

        begin, end = cell.shape.tag
        tags = rows[:, begin:end]
        first, which = _distinct(tags)
        is_same = (tags == tags[first][which]).all(axis=1) if len(first) > 1 else np.ones(len(rows), bool)
        if not is_same.all():  # two tags with one hash
            self._few(indexes[~is_same])
            rows, indexes, which = rows[is_same], indexes[is_same], which[is_same]
        models = [tags_row.tobytes() for tags_row in tags[first]]
        payload = bytearray(cell.blank(rows[0].tobytes()[: cell.shape.size]))
        bases = np.array([self._base(payload, begin, end, tag) for tag in models], np.uint32)
        numbers = cell.numbers(rows, bases[which])
        lines = indexes + self.frames.first
        if len(models) == 1:
            _put(self.found, models[0], cell.shape, lines, numbers)
            return
        order = np.argsort(which, kind="stable")
        lines, numbers = lines[order], numbers.pick(order)
        ends = np.cumsum(np.bincount(which, minlength=len(models))).tolist()
        for tag, low, high in zip(models, [0, *ends], ends, strict=False):
            _put(self.found, tag, cell.shape, lines[low:high], numbers.pick(slice(low, high)))

    def _few(self, indexes: Whole) -> None:
        _add_chosen(self.framer, self.found, self.frames, sorted(indexes.tolist()))

    @staticmethod
    def _base(payload: bytearray, begin: int, end: int, tag: bytes) -> int:
        payload[begin:end] = tag
        return crc32c(bytes(payload))


def _add_chosen(framer: Framer, found: EventFile, frames: Frames, chosen: list[int]) -> None:
    """Files these records of a batch one by one."""
    for index in chosen:
        one = Frames([frames.starts[index]], [frames.lengths[index]], frames.first + index)
        add_frames(framer, found, one)


def _distinct(tags: Bytes) -> tuple[Whole, Whole]:
    """(index of the first row of each distinct tag, the tag that each row has), by a hash of eight bytes at a time."""
    import numpy as np

    count, width = tags.shape
    if (tags == tags[0]).all():
        return np.zeros(1, np.int64), np.zeros(count, np.int64)
    padded = np.zeros((count, -(-width // 8) * 8), np.uint8)
    padded[:, :width] = tags
    hashed = np.zeros(count, np.uint64)
    for word in padded.view("<u8").T:
        hashed = (hashed ^ word) * np.uint64(0x9E3779B97F4A7C15)
        hashed ^= hashed >> np.uint64(29)
    _, first, which = np.unique(hashed, return_index=True, return_inverse=True)
    return first.astype(np.int64), which.reshape(-1).astype(np.int64)
