"""Side by side with TensorBoard's own reader: the same tags, steps, times and values, fast or not."""

from __future__ import annotations

import importlib.util
import logging
import random
import struct
import time
from collections import Counter
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import STORE_EVERYTHING_SIZE_GUIDANCE, EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.util import tensor_util

from parsers import tfevents
from parsers.tfevents import EventFile, decode, shown
from tests.parsers import events as e
from tests.samples import FOLDER

SAMPLES = sorted({path.parent for path in FOLDER.rglob("*tfevents*")})


def points(accumulated: EventAccumulator) -> dict[str, list[str]]:
    return {
        tag: [repr((point.step, point.wall_time, point.value)) for point in accumulated.Scalars(tag)]
        for tag in accumulated.Tags()["scalars"]
    }


def reference(path: Path) -> EventAccumulator:
    logging.getLogger("tensorboard").setLevel(logging.CRITICAL)
    return EventAccumulator(str(path), STORE_EVERYTHING_SIZE_GUIDANCE).Reload()


def assert_equal(path: Path, fast: bool) -> EventFile:
    found, theirs = decode(path, fast), reference(path)
    ours = {tag: [repr(point) for point in zip(c.steps, c.times, c.values, strict=True)] for tag, c in shown([found]).items()}
    assert ours == points(theirs)
    for tag in theirs.Tags()["tensors"]:
        plugin = theirs.summary_metadata[tag].plugin_data.plugin_name if tag in theirs.summary_metadata else ""
        is_bfloat = theirs.Tensors(tag)[0].tensor_proto.dtype == 14  # TensorBoard's own reader has no type for it
        if plugin not in ("", "scalars", "scalar") or is_bfloat:
            continue
        column = found.scalars[tag, True]
        expected = [(t.step, t.wall_time, float(tensor_util.make_ndarray(t.tensor_proto))) for t in theirs.Tensors(tag)]
        assert repr(list(zip(column.steps, column.times, column.values, strict=True))) == repr(expected)
    return found


def chained(paths: list[Path], fast: bool) -> list[EventFile]:
    """The files of one directory as TensorBoard reads them: what one says of versions and steps holds for the next."""
    found: list[EventFile] = []
    for path in paths:
        found.append(decode(path, fast, found[-1] if found else None))
    return found


def assert_folder_is_equal(folder: Path) -> None:
    paths, theirs = sorted(folder.glob("*tfevents*")), points(reference(folder))
    for fast in (False, True):
        ours = shown(chained(paths, fast))
        assert {tag: [repr(point) for point in zip(c.steps, c.times, c.values, strict=True)] for tag, c in ours.items()} == theirs


def content(found: EventFile) -> str:
    scalars = sorted((key, list(c.lines), list(c.steps), list(c.values)) for key, c in found.scalars.items())
    return repr((scalars, found.texts, found.purges, found.records, found.passed_over, found.losses))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("first", [e.version(), e.version("brain.Event:1"), b""], ids=["v2", "v1", "none"])
def test_anything_that_writers_write(tmp_path: Path, seed: int, first: bytes) -> None:
    rng = random.Random(seed)
    path = e.write(tmp_path, e.some_file(rng, 900, plain=seed % 2 == 0, first=first))
    slow, fast = assert_equal(path, fast=False), assert_equal(path, fast=True)
    assert content(slow) == content(fast) and slow.losses.count == 0


@pytest.mark.parametrize("folder", SAMPLES, ids=lambda folder: folder.relative_to(FOLDER).as_posix())
def test_what_real_programs_wrote(folder: Path) -> None:
    for path in folder.glob("*tfevents*"):
        assert content(assert_equal(path, fast=False)) == content(assert_equal(path, fast=True))
    assert_folder_is_equal(folder)


def test_the_samples_are_of_several_programs() -> None:
    programs = {folder.relative_to(FOLDER).parts[0] for folder in SAMPLES}
    assert {"hf-trainer", "hf-deepspeed", "tensorboard"} <= programs


@pytest.mark.parametrize("seed", range(12))
def test_files_of_all_versions_in_one_directory(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    for number in range(rng.choice([2, 3])):
        first = rng.choice([e.version(), e.version("brain.Event:1"), b""])
        data = e.some_file(rng, 150, plain=rng.random() < 0.5, first=first)
        e.write(tmp_path, data, name=f"events.out.tfevents.{number}.node")
    assert_folder_is_equal(tmp_path)


@pytest.mark.parametrize("seed", range(12))
def test_of_a_damaged_file_never_less_than_tensorboard_reads(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    data = bytearray(e.some_file(rng, 150, plain=seed % 2 == 0))
    for _ in range(rng.choice([1, 3])):
        at = rng.randrange(len(data))
        if rng.random() < 0.5:
            data[at] ^= 1 << rng.randrange(8)
        else:
            del data[at : at + rng.randrange(100)]
    path = e.write(tmp_path, bytes(data))
    logging.getLogger("tensorboard").setLevel(logging.CRITICAL)
    theirs = points(EventAccumulator(str(path), STORE_EVERYTHING_SIZE_GUIDANCE, purge_orphaned_data=False).Reload())
    for fast in (False, True):
        found = decode(path, fast)
        for tag, expected in theirs.items():
            column = found.scalars[tag, False]
            ours = [repr(point) for point in zip(column.steps, column.times, column.values, strict=True)]
            assert not Counter(expected) - Counter(ours), tag


def regular(count: int, tags: int = 7) -> bytes:
    """What a training loop writes: all tags at each step, through the widths that a step's varint has."""
    names = [f"train/layer_{i}" for i in range(tags - 2)] + ["loss", "lr"]
    steps = [1, *range(120, 140), *range(16_300, 16_300 + count), 2**21 + 5, 2**40, -3]
    return e.version() + b"".join(e.scalar(name, step, step / 7) for step in steps for name in names)


def test_a_regular_file_is_decoded_by_columns(tmp_path: Path) -> None:
    path = e.write(tmp_path, regular(400))
    assert content(assert_equal(path, fast=True)) == content(decode(path, fast=False))


def test_windows_cut_records_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from parsers.tfevents_frames import Framer

    path = e.write(tmp_path, regular(150), e.framed(b"\x22\xd0\x0f" + bytes(2000)), regular(40))
    whole = content(decode(path, fast=False))
    made = Framer.__init__
    for window in (64, 1000, 4099):

        def small(self: Framer, *args: object, size: int = window, **named: object) -> None:
            made(self, *args, window=size, **named)  # type: ignore[arg-type]

        monkeypatch.setattr(Framer, "__init__", small)
        assert content(decode(path, fast=True)) == whole
        assert content(decode(path, fast=False)) == whole


def test_records_longer_than_what_is_looked_into_are_checked_and_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("parsers.tfevents_frames.MAX_RECORD", 3000)
    graph = b"\x22\x88\x27" + bytes(5000)
    bad = bytearray(e.framed(graph))
    bad[100] ^= 1
    path = e.write(tmp_path, e.version(), e.framed(graph), e.scalar("loss", 1, 1.0), bytes(bad), e.scalar("loss", 2, 2.0))
    for fast in (False, True):
        found = decode(path, fast)
        assert list(found.scalars["loss", False].steps) == [1, 2]
        assert [loss.line for loss in found.losses.kept] == [4]


def test_one_run_of_several_files_purges_across_them(tmp_path: Path) -> None:
    first = e.write(tmp_path, e.version(), *(e.scalar("loss", s, s) for s in range(50)), name="events.out.tfevents.1.a")
    then = e.write(
        tmp_path, e.version(), e.start(30), *(e.scalar("loss", s, -s) for s in range(30, 40)), name="events.out.tfevents.2.a"
    )
    ours = shown([decode(first), decode(then)])["loss"]
    assert [repr(p) for p in zip(ours.steps, ours.times, ours.values, strict=True)] == points(reference(tmp_path))["loss"]
    assert len(ours) == 40
    assert len(decode(first).scalars["loss", False]) == 50, "the points themselves are kept"


def test_tensorflow_torch_and_tensorboardx_write_what_we_read(tmp_path: Path) -> None:
    from tensorboard.summary import Writer

    with_tensors = tmp_path / "tf"
    writer = Writer(str(with_tensors))
    for step in range(200):
        writer.add_scalar("epoch_loss", 1 / (step + 1), step)
    writer.close()
    for path in with_tensors.glob("*tfevents*"):
        assert len(assert_equal(path, fast=True).scalars["epoch_loss", True]) == 200
    writers = []
    if importlib.util.find_spec("torch"):
        from torch.utils.tensorboard import SummaryWriter

        writers.append(SummaryWriter)
    if importlib.util.find_spec("tensorboardX"):
        import tensorboardX

        writers.append(tensorboardX.SummaryWriter)
    if not writers:
        pytest.skip("neither torch nor tensorboardX is installed")
    for number, make in enumerate(writers):
        folder = tmp_path / str(number)
        with make(str(folder)) as writer:
            for step in range(200):
                writer.add_scalar("train/loss", 1 / (step + 1), step)
                writer.add_scalars("Loss", {"train": step, "val": step * 2}, step)
            writer.add_text("args", '{"max_steps": 200}')
        time.sleep(0.1)
        for path in folder.rglob("*tfevents*"):
            for fast in (False, True):
                assert_equal(path, fast)


def test_tensors_of_all_kinds(tmp_path: Path) -> None:
    items = {
        "float": e.tensor("float", dtype=1, float_val=[0.1]),
        "double": e.tensor("double", dtype=2, double_val=[0.1]),
        "content": e.tensor("content", dtype=2, tensor_content=struct.pack("<d", 0.1)),
        "half": e.tensor("half", dtype=19, half_val=[0x3C00]),
        "bfloat16": e.tensor("bfloat16", dtype=14, half_val=[0x3F80]),
        "int": e.tensor("int", dtype=3, int_val=[-7]),
        "long": e.tensor("long", dtype=9, int64_val=[-(2**40)]),
        "bool": e.tensor("bool", dtype=10, bool_val=[True]),
    }
    path = e.write(tmp_path, e.version(), *(e.values(3, item) for item in items.values()))
    found = assert_equal(path, fast=False)
    assert {tag: column.values[0] for (tag, _), column in found.scalars.items()} == {
        "float": pytest.approx(0.1), "double": 0.1, "content": 0.1, "half": 1.0, "bfloat16": 1.0, "int": -7.0,
        "long": -(2.0**40), "bool": 1.0,
    }  # fmt: skip


def test_what_is_no_curve_is_passed_over(tmp_path: Path) -> None:
    histogram = e.tensor("h", "histograms", dtype=2, double_val=[0.0, 1.0, 2.0])
    histogram.tensor.tensor_shape.dim.add(size=1)
    histogram.tensor.tensor_shape.dim.add(size=3)
    image = e.Summary.Value(tag="i")
    image.image.width = 3
    graph = e.framed(Event(graph_def=b"graph").SerializeToString())
    found = decode(e.write(tmp_path, e.version(), e.values(1, histogram, image), graph, e.scalar("loss", 1, 1.0)))
    assert set(found.scalars) == {("loss", False)} and found.passed_over == {"tensor": 1, "image": 1, "graph": 1}


def test_a_small_file_needs_neither_numpy_nor_tensorboard(tmp_path: Path) -> None:
    import subprocess
    import sys

    path = e.write(tmp_path, regular(50))
    assert path.stat().st_size < tfevents.FAST_BYTES
    code = (
        "import sys; from parsers.read import read; assert read([sys.argv[1]], strict=True).series('loss'); "
        "print(sorted({'numpy', 'tensorboard', 'google.protobuf'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
