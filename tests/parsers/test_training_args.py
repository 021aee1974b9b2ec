"""`training_args.bin`: pickles are listed, never loaded."""

from __future__ import annotations

import enum
import io
import pickle
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parsers import read
from parsers.discover import kind_of
from parsers.formats.training_args import _state


class Scheduler(enum.Enum):
    LINEAR = "linear"


class Engine:
    def __init__(self) -> None:
        self.config = {"zero_optimization": {"stage": 2, "overlap_comm": True}, "fp16": {"enabled": "auto"}, "x": [object()]}


class Arguments:
    def __init__(self) -> None:
        self.output_dir = "out"
        self.learning_rate = 2e-5
        self.bf16 = True
        self.max_steps = -1
        self.lr_scheduler_type = Scheduler.LINEAR
        self.logging_steps = 10
        self.report_to = ["tensorboard"]
        self.hf_deepspeed_config = Engine()
        self.deepspeed = None


class Trap:
    """Runs a command where it is unpickled."""

    def __init__(self, touched: Path) -> None:
        self.touched = touched

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.touched,)


def saved(folder: Path, data: bytes) -> Path:
    """The file as `torch.save` writes it."""
    path = folder / "training_args.bin"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("training_args/data.pkl", data)
        archive.writestr("training_args/version", b"3\n")
    return path


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_text_and_numbers_are_arguments(tmp_path: Path, protocol: int) -> None:
    environment = read([saved(tmp_path, pickle.dumps(Arguments(), protocol))], strict=True).environment
    assert environment.value("arg:learning_rate") == 2e-5
    assert environment.value("arg:bf16") is True
    assert environment.number("arg:max_steps") == -1
    assert environment.value("arg:lr_scheduler_type") == "linear"
    assert environment.value("config:zero_optimization.stage") == 2
    fact = environment.get("arg:logging_steps")
    assert fact is not None and fact.value == 10 and fact.ref.text == "logging_steps = 10" and fact.weight == 2


def test_the_format_before_zip_archives_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "training_args.bin"
    several: list[object] = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, Arguments(), []]
    path.write_bytes(b"".join(pickle.dumps(one, 2) for one in several))
    assert read([path], strict=True).environment.value("arg:output_dir") == "out"


def test_nothing_of_it_runs(tmp_path: Path) -> None:
    arguments = Arguments()
    arguments.report_to = Trap(tmp_path / "touched")  # type: ignore[assignment]
    environment = read([saved(tmp_path, pickle.dumps(arguments, 2))], strict=True).environment
    assert environment.value("arg:output_dir") == "out"
    assert not (tmp_path / "touched").exists()


def test_what_is_cut_off_says_what_it_got_to(tmp_path: Path) -> None:
    data = pickle.dumps(Arguments(), 2)
    environment = read([saved(tmp_path, data[: data.index(b"logging_steps")])], strict=True).environment
    assert environment.value("arg:learning_rate") == 2e-5 and environment.get("arg:logging_steps") is None


def test_another_file_of_that_name_is_a_problem(tmp_path: Path) -> None:
    run = read([saved(tmp_path, pickle.dumps([1, 2, 3], 2))], strict=True)
    assert [problem.reader for problem in run.problems] == ["training_args"] and not run.is_understood


@given(st.binary(max_size=200), st.integers(0, 400))
@settings(max_examples=200, deadline=None)
def test_no_bytes_raise(noise: bytes, at: int) -> None:
    data = pickle.dumps(Arguments(), 2)
    _state(io.BytesIO(data[:at] + noise + data[at + len(noise) :]))


def test_it_belongs_to_the_run_beside_it() -> None:
    assert kind_of("training_args.bin") == "environment"
    assert kind_of("pytorch_model.bin") is None
