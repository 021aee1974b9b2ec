"""Stacks of one and of many processes: the exception, its message, its rank and its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from parsers import kinds
from parsers.formats import python_traceback
from parsers.read import read
from tests.failures import PEER, STEPS, events_of, stack


def test_the_exception_its_message_and_its_innermost_frame(tmp_path: Path) -> None:
    (event,) = events_of(tmp_path, STEPS + stack("KeyError: 'image_grid_thw'"), kinds.TRACEBACK)
    assert event.ref.line == 7
    assert event.data["exception"] == "KeyError"
    assert event.data["message"] == "'image_grid_thw'"
    assert (event.data["frame"], event.data["frame_line"]) == ("/home/user/train.py", 111)
    assert event.data["owner"] == ""


def test_stacks_of_two_ranks_that_print_line_by_line_in_turn(tmp_path: Path) -> None:
    one, two = stack("ValueError: bad shard", "[rank1]: ").splitlines(), stack(PEER, "[rank0]: ").splitlines()
    mixed = "\n".join(line for pair in zip(one, two, strict=True) for line in pair) + "\n"
    events = events_of(tmp_path, mixed, kinds.TRACEBACK)
    assert {(event.rank, event.data["exception"], event.ref.line) for event in events} == {
        (1, "ValueError", 5),
        (0, "RuntimeError", 6),
    }


def test_a_stack_that_begins_behind_a_progress_bar_keeps_its_rank(tmp_path: Path) -> None:
    text = " 25%|██▌       | 1818/7272 [8:23:36<24:27:04, 16.14s/it][rank3]: " + stack("ValueError: x", "[rank3]: ")[9:]
    (event,) = events_of(tmp_path, text, kinds.TRACEBACK)
    assert (event.rank, event.data["exception"]) == (3, "ValueError")


@pytest.mark.parametrize(
    "prefix",
    ["192.168.205.202: [rank4]: ", "localhost: ", "[rank0]:[rank0]: ", "(main_task pid=2105103) ",
     "ERROR 2026-08-03T18:51:06.652885516Z [resource.labels.containerName: jax-tpu] "],
)  # fmt: skip
def test_what_launchers_and_shippers_put_in_front(prefix: str, tmp_path: Path) -> None:
    (event,) = events_of(tmp_path, stack("FileNotFoundError: [Errno 2] No such file or directory: 'x'", prefix), kinds.TRACEBACK)
    assert event.data["exception"] == "FileNotFoundError"
    assert event.ref.line == 3


def test_a_chain_is_one_event_with_its_first_exception_beside_it(tmp_path: Path) -> None:
    text = (
        stack("ImportError: cannot import name 'clear_device_cache' from 'accelerate.utils.memory'")
        + "\nThe above exception was the direct cause of the following exception:\n\n"
        + stack(
            "RuntimeError: Failed to import transformers.trainer because of the following error (look up to see its traceback):"
        )
    )
    (event,) = events_of(tmp_path, text, kinds.TRACEBACK)
    assert event.data["exception"] == "RuntimeError"
    assert event.data["root_exception"] == "ImportError"
    assert event.data["root_line"] == 3
    assert event.data["owner"] == kinds.DEPENDENCY_ERROR


def test_the_worker_s_own_exception_ends_a_data_loader_s_chain(tmp_path: Path) -> None:
    text = (
        stack("ValueError: Caught ValueError in DataLoader worker process 0.")
        + "Original "
        + stack("ValueError: could not decode sample 2283")
    )
    (event,) = events_of(tmp_path, text, kinds.TRACEBACK)
    assert event.data["message"] == "could not decode sample 2283"
    assert event.data["owner"] == ""


def test_words_of_several_processes_torn_into_one_line(tmp_path: Path) -> None:
    text = "Traceback (most recent call last):\nTraceback (most recent call last):\n" + (
        '  File "train.py", line 1, in <module>\n  File "train.py", line 1, in <module>\n    main()\n    main()\n'
        "KeyboardInterruptKeyboardInterrupt    sampled_indices = torch.multinomial(prob_dist, reserved_length)\n"
    )
    assert events_of(tmp_path, text, kinds.INTERRUPTED)


def test_eight_equal_stacks_without_prefixes_are_counted(tmp_path: Path) -> None:
    text = "".join(f"{row}\n" * 8 for row in stack("AssertionError: 28 is not divisible by 8").splitlines())
    (event,) = events_of(tmp_path, text, kinds.TRACEBACK)
    assert event.data["count"] == 8
    assert event.data["owner"] == kinds.CONFIG_ERROR


def test_torchrun_s_copies_are_marked_and_carry_their_entry_s_rank(tmp_path: Path) -> None:
    text = (
        "Failures:\n[1]:\n  rank      : 5 (local_rank: 5)\n  exitcode  : 1 (pid: 1495) \n"
        "  traceback : Traceback (most recent call last):\n"
        '    File "train.py", line 5, in main\n  RuntimeError: boom\n  \n====\n'
    )
    (event,) = events_of(tmp_path, text, kinds.TRACEBACK)
    assert event.data["is_copy"] is True
    assert (event.rank, event.data["message"]) == (5, "boom")


def test_a_stack_that_the_end_of_the_file_cut_off(tmp_path: Path) -> None:
    (event,) = events_of(tmp_path, stack("x").rsplit("\n", 2)[0] + "\n", kinds.TRACEBACK)
    assert event.data["exception"] == ""
    assert event.ref.line == 1


def test_a_message_goes_on_below_an_exception_line_that_ends_with_a_colon(tmp_path: Path) -> None:
    text = stack("ValueError: Please correct the following DeepSpeed config values that mismatch TrainingArguments values:")
    (event,) = events_of(
        tmp_path, text + "- ds train_micro_batch_size_per_gpu=4 vs hf per_device_train_batch_size=8\n", kinds.CONFIG_ERROR
    )
    assert "train_micro_batch_size_per_gpu=4" in str(event.data["message"])


def test_prose_is_no_exception(tmp_path: Path) -> None:
    text = "Error: nothing\nException: maybe\nThe Error: rate was 0.3\neval_error: 0.2\nINFO: Trainer: started\nan Error: x\n"
    assert not events_of(tmp_path, text, kinds.TRACEBACK)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("RuntimeError: CUDA error: uncorrectable ECC error encountered", kinds.HARDWARE),
        ("RuntimeError: CUDA error: device-side assert triggered", kinds.DEVICE_ASSERT),
        ("torch.AcceleratorError: CUDA error: an illegal memory access was encountered", kinds.DEVICE_ASSERT),
        ("OSError: [Errno 28] No space left on device", kinds.DISK_FULL),
        ("RuntimeError: DataLoader worker (pid 1897) is killed by signal: Killed.", kinds.DATALOADER),
        ("RuntimeError: DataLoader worker (pid(s) 12, 13) exited unexpectedly", kinds.DATALOADER),
        ("RuntimeError: unable to write to file </torch_1234_5>", kinds.DATALOADER),
        ("RuntimeError: Too many open files. Communication with the workers is no longer possible.", kinds.DATALOADER),
        ("RuntimeError: [1] is setting up NCCL communicator, but store->get('0') got error: Socket Timeout", kinds.COLLECTIVE_TIMEOUT),
        ("torch.distributed.DistStoreError: Timed out after 16 seconds waiting for clients. 1/2 clients joined.", kinds.COMMUNICATION_ERROR),
        ("torch.distributed.DistNetworkError: The server socket has failed to listen. code: -98, name: EADDRINUSE", kinds.COMMUNICATION_ERROR),
        ("RuntimeError: [enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory", kinds.HOST_OOM),
        ("ray.exceptions.OutOfMemoryError: Task was killed due to the node running low on memory.", kinds.HOST_OOM),
        ("ModuleNotFoundError: No module named 'torch._six'", kinds.DEPENDENCY_ERROR),
        ("AttributeError: 'FieldInfo' object has no attribute 'field_info'", kinds.DEPENDENCY_ERROR),
        ("RuntimeError: CUDA error: no kernel image is available for execution on the device", kinds.DEPENDENCY_ERROR),
        ("Exception: Installed CUDA version 11.0 does not match the version torch was compiled with 10.1", kinds.DEPENDENCY_ERROR),
        ("E   cannot import name 'BUFSIZE' from 'numpy' (/envs/py39/lib/python3.9/site-packages/numpy/__init__.py)", kinds.DEPENDENCY_ERROR),
        ("RuntimeError: [enforce fail at inline_container.cc:471] . PytorchStreamWriter failed writing file data/228", kinds.CHECKPOINT_FAILURE),
        ("ValueError: Can't find a valid checkpoint at /home/work/model/checkpoint-125", kinds.CHECKPOINT_FAILURE),
        ("_pickle.UnpicklingError: Weights only load failed. This file can still be loaded", kinds.CHECKPOINT_FAILURE),
        ("AssertionError: Check batch related parameters. train_batch_size is not equal to 256 != 4 * 8 * 1", kinds.CONFIG_ERROR),
        ("TypeError: Seq2SeqTrainingArguments.__init__() got an unexpected keyword argument 'evaluation_strategy'", kinds.CONFIG_ERROR),
        ("hydra.errors.MissingConfigException: In 'x': Could not load 'ppo_trainer'.", kinds.CONFIG_ERROR),
    ],
)  # fmt: skip
def test_an_exception_line_alone_says_what_it_is(line: str, kind: str, tmp_path: Path) -> None:
    (event,) = events_of(tmp_path, f"{line}\n", kind)
    assert event.ref.line == 1


def test_a_json_error_is_one_of_configuration_only_where_a_configuration_was_read(tmp_path: Path) -> None:
    error = "json.decoder.JSONDecodeError: Expecting property name enclosed in double quotes: line 2 column 26 (char 27)"
    text = 'Traceback (most recent call last):\n  File "train.py", line 33, in <module>\n    {}\n' + error + "\n"
    assert events_of(tmp_path, text.format("conf = json.load(open(args.deepspeed_config))"), kinds.CONFIG_ERROR)
    assert not events_of(tmp_path, text.format("row = json.loads(line)"), kinds.CONFIG_ERROR)


def test_ten_thousand_caught_exceptions_do_not_hide_the_last(tmp_path: Path) -> None:
    text = "".join(stack(f"ValueError: sample {i}") + "going on\n" * 9 for i in range(1000)) + stack("KeyError: 'last'")
    events = events_of(tmp_path, text, kinds.TRACEBACK)
    assert len(events) < 700
    assert events[-1].data["exception"] == "KeyError"


def test_of_tracebacks_without_end_what_is_new_and_the_last_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_traceback, "ENOUGH", 1000)
    again = "".join(stack(f"ValueError: sample {i}") for i in range(900))
    path = tmp_path / "run.log"
    path.write_text(again + stack("KeyError: 'new'") + again * 3 + stack("ValueError: sample 99999"))
    run = read([path], strict=True)
    events = [event for event in run.events if event.kind == kinds.TRACEBACK]
    assert "new" in {str(event.data["message"]).strip("'") for event in events}
    assert events[-1].data["message"] == "sample 99999" and events[-1].ref.text == "ValueError: sample 99999"
    assert [event.ref.line for event in events] == sorted(event.ref.line for event in events)
    (problem,) = run.problems
    assert "differ in numbers alone were passed over" in problem.reason


def test_an_optional_import_does_not_own_what_was_raised_while_it_was_handled(tmp_path: Path) -> None:
    text = (
        stack("ModuleNotFoundError: No module named 'flash_attn'")
        + "\nDuring handling of the above exception, another exception occurred:\n\n"
        + stack("ValueError: head size 96 needs the fallback")
    )
    (event,) = events_of(tmp_path, text, kinds.TRACEBACK)
    assert event.data["exception"] == "ValueError"
    assert event.data["owner"] == ""
