"""Versions, hardware, arguments, configurations and projects, as logs and files beside them tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from parsers.read import read
from tests.parsers.logs import facts_of, run_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- `transformers` version: 5.23.0", {"package:transformers": "5.23.0"}),
        ("- PyTorch version (GPU?): 2.1.0+cu121 (True)", {"package:torch": "2.1.0+cu121", "package:cuda": "12.1"}),
        ("- PyTorch version (accelerator?): 2.13.0+cpu (NA)", {"package:torch": "2.13.0+cpu"}),
        ("- DeepSpeed version: 0.12.4", {"package:deepspeed": "0.12.4"}),
        ("- DeepSpeed version: not installed", {"package:deepspeed": None}),
        ("- `Accelerate` version: 1.15.0", {"package:accelerate": "1.15.0"}),
        ("- Huggingface_hub version: 2.4.0", {"package:huggingface-hub": "2.4.0"}),
        ("- `llamafactory` version: 0.9.2", {"package:llamafactory": "0.9.2"}),
        ("- GPU type: 8x A100", {"hardware:gpu": "A100", "hardware:gpu_count": 8}),
        ("- GPU type: NVIDIA A100-SXM4-80GB", {"hardware:gpu": "NVIDIA A100-SXM4-80GB"}),
        ("Python version: 3.11.7 (main, May  9 2026, 07:35:25) [GCC 12.2.0] (64-bit runtime)", {"package:python": "3.11.7"}),
        ("CUDA used to build PyTorch: 12.1", {"package:cuda": "12.1"}),
        ("GPU 0: NVIDIA A100-SXM4-80GB\nGPU 1: NVIDIA A100-SXM4-80GB", {"hardware:gpu": "NVIDIA A100-SXM4-80GB", "hardware:gpu_count": 2}),
        ("[pip3] torch==2.1.2\n[conda] pytorch-cuda              12.1                 ha16c6d3_5    pytorch",
         {"package:torch": "2.1.2", "package:cuda": "12.1"}),
        ("deepspeed info ................... 0.17.5, unknown, unknown\ntorch version .................... 2.13.0+cpu",
         {"package:deepspeed": "0.17.5", "package:torch": "2.13.0+cpu"}),
        ("host-1: deepspeed info ................... 0.14.0, unknown, unknown", {"package:deepspeed": "0.14.0"}),
        ("deepspeed==0.14.0", {"package:deepspeed": "0.14.0"}),
        ("Flash_Attn==2.5.6", {"package:flash-attn": "2.5.6"}),
        ("NCCL version 2.18.1+cuda12.1", {"package:nccl": "2.18.1", "package:cuda": "12.1"}),
        ("node08:27106:27302 [0] NCCL INFO NCCL version 2.27.5+cuda12.9", {"package:nccl": "2.27.5"}),
        ("| NVIDIA-SMI 535.104.05   Driver Version: 535.104.05   CUDA Version: 12.2     |",
         {"hardware:driver": "535.104.05", "hardware:driver_cuda": "12.2"}),
        ("transformers 4.44.2 torch 2.11.0+cu130 args x", {"package:transformers": "4.44.2", "package:torch": "2.11.0+cu130"}),
        ('  File "/opt/venv/lib/python3.10/site-packages/torch/nn/modules/module.py", line 1518', {"package:python": "3.10"}),
    ],
)  # fmt: skip
def test_reports(text: str, expected: dict[str, object]) -> None:
    facts = facts_of(text + "\n")
    assert {key: facts.get(key, "missing") for key in expected} == expected


@pytest.mark.parametrize(
    "text",
    [
        "checkpoint version: 3.0", "if a == 1: b==2", "========== 12 ==========", "This version of the transformers: see below",
        "please use torch version that is new enough", "the GPU 0: is busy", "DeepSpeed is a library", "torchrun is deprecated in torch 2.",
    ],
)  # fmt: skip
def test_prose_is_no_evidence(text: str) -> None:
    assert not [key for key in facts_of(text + "\n") if key.startswith(("package:", "hardware:", "run:"))]


def test_training_arguments_over_many_lines() -> None:
    facts = facts_of(
        "TrainingArguments(\n_n_gpu=1,\nadam_beta1=0.9,\nbf16=True,\ndeepspeed=./scripts/zero3.json,\n"
        "learning_rate=2e-05,\nlr_scheduler_type=SchedulerType.COSINE,\nlogging_steps=1.0,\nfsdp=[],\noutput_dir=./checkpoints/x,\n)\n"
        "{'loss': 1.0, 'epoch': 0.1}\n"
    )
    assert facts["arg:bf16"] is True and facts["arg:learning_rate"] == 2e-5 and facts["arg:logging_steps"] == 1.0
    assert facts["arg:deepspeed"] == "./scripts/zero3.json" and facts["config:bf16.enabled"] is True


def test_namespace_with_overrides_in_a_list() -> None:
    facts = facts_of(
        "args Namespace(fault='none', lr=2e-05, ta=['max_steps=120', 'deepspeed=ds_config.json'], f=<function g at 0x7>)\n"
    )
    assert facts["arg:lr"] == facts["arg:learning_rate"] == 2e-5
    assert facts["arg:max_steps"] == 120 and facts["arg:deepspeed"] == "ds_config.json"


def test_yaml_echoes() -> None:
    facts = facts_of("model_name_or_path: MGM gemma 2B\nattn: flash_attention_2\nbf16: true\nlearning_rate: 2.0e-5\n")
    assert (
        facts["arg:attn_implementation"] == "flash_attention_2"
        and facts["arg:bf16"] is True
        and facts["arg:learning_rate"] == 2e-5
    )
    assert facts["project:name"] == "mgm"


def test_yaml_echoes_of_what_causes_ask_for() -> None:
    facts = facts_of(
        "fp8: true\nfp8_recipe: tensorwise\ntorch_compile: true\ntensor_model_parallel_size: 4\noutput_router_logits: false\n"
        "bnb_4bit_compute_dtype: float16\nfsdp_state_dict_type: FULL_STATE_DICT\ndataloader_num_workers: 8\n"
    )
    assert facts["arg:fp8"] is True and facts["arg:torch_compile"] is True and facts["arg:output_router_logits"] is False
    assert facts["arg:fp8_recipe"] == "tensorwise" and facts["arg:bnb_4bit_compute_dtype"] == "float16"
    assert facts["arg:tensor_model_parallel_size"] == 4 and facts["arg:dataloader_num_workers"] == 8
    assert facts["arg:fsdp_state_dict_type"] == "FULL_STATE_DICT"


def test_model_config() -> None:
    facts = facts_of(
        'Model config LlamaConfig {\n  "_name_or_path": "x",\n  "hidden_size": 4096,\n  "torch_dtype": "bfloat16",\n'
        '  "rope_scaling": {\n    "factor": 8.0\n  },\n  "transformers_version": "4.31.0"\n}\n\nafter: 1\n'
    )
    assert facts["model:hidden_size"] == 4096 and facts["model:torch_dtype"] == "bfloat16"
    assert facts["package:transformers"] == "4.31.0"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("+ deepspeed --include localhost:0,1,2 llava/train/train_mem.py --deepspeed ./scripts/zero3.json --bf16 True",
         {"run:world_size": 3, "project:name": "llava", "arg:bf16": True, "config:zero_optimization.stage": 3}),
        ("torchrun --nproc_per_node=8 --nnodes 2 train.py --model_max_length 2048 --tf32",
         {"run:world_size": 16, "run:script": "train.py", "arg:model_max_length": 2048, "arg:tf32": True}),
        ("accelerate launch --num_processes 4 --config_file zero3.yaml sft.py --packing", {"run:world_size": 4, "run:script": "sft.py"}),
        ("python -m torch.distributed.run --nproc_per_node 4 src/train_bash.py --stage sft --deepspeed ds_z2_config.json",
         {"run:world_size": 4, "project:name": "llama-factory", "config:zero_optimization.stage": 2}),
        ("CUDA_VISIBLE_DEVICES=0 NCCL_DEBUG=INFO swift sft --model_type qwen --deepspeed zero2", {"project:name": "ms-swift"}),
        ("cmd = deepspeed main.py --lr 5e-5", {"run:script": "main.py", "arg:learning_rate": 5e-5}),
        ("deepspeed mgm/train/train_mem.py \\\n    --deepspeed ./scripts/zero2_offload.json \\\n    --version gemma \\\n    --bf16 True",
         {"project:name": "mgm", "arg:bf16": True, "config:zero_optimization.overlap_comm": True, "arg:version": "gemma",
          "config:zero_optimization.offload_optimizer.device": "cpu", "project:pins-deepspeed": "0.11.1"}),
        ('  File "/home/u/LLaVA/llava/train/train.py", line 950, in train', {"project:name": "llava"}),
    ],
)  # fmt: skip
def test_commands(text: str, expected: dict[str, object]) -> None:
    facts = facts_of(text + "\n")
    assert {key: facts.get(key, "missing") for key in expected} == expected


def test_llava_next_shares_the_script_but_not_the_files() -> None:
    facts = facts_of("deepspeed llava/train/train_mem.py --deepspeed scripts/zero2.json --mm_tunable_parts mm_mlp_adapter\n")
    assert "config:zero_optimization.overlap_comm" not in facts and facts["config:zero_optimization.stage"] == 2


def test_implied_values_weigh_nothing_and_printed_ones_win() -> None:
    run = run_of(
        "deepspeed llava/train/train_mem.py --deepspeed ./scripts/zero2.json --bf16 True\n"
        "[2023-12-08 10:10:22,001] [INFO] [config.py:984:print]   zero_config .................. stage=2 overlap_comm=False\n"
    )
    assert run.environment.value("config:zero_optimization.overlap_comm") is False
    assert sorted(fact.weight for fact in run.environment.all("config:zero_optimization.overlap_comm")) == [0, 3]


def test_files_beside_the_log(tmp_path: Path) -> None:
    log, freeze, config = tmp_path / "run.log", tmp_path / "requirements.txt", tmp_path / "ds_config.json"
    log.write_text("{'loss': 1.0, 'epoch': 0.1}\n")
    freeze.write_text(
        "# comment\ntorch==2.1.2+cu121\nflash-attn @ https://x/flash_attn-2.5.6+cu122torch2.1-cp310-cp310-linux.whl\nnumpy>=1\n"
    )
    config.write_text(
        '// note\n{\n  "bf16": {"enabled": "auto"},\n  "zero_optimization": {\n    "stage": 2,\n    "overlap_comm": true,\n  }\n}\n'
    )
    environment = read([log, freeze, config], strict=True).environment
    stage = environment.get("config:zero_optimization.stage")
    assert stage and (stage.value, stage.weight, stage.ref.line) == (2, 2, 5)
    assert environment.value("config:zero_optimization.overlap_comm") is True
    assert (
        environment.value("package:torch") == "2.1.2+cu121" and environment.value("package:flash-attn") == "2.5.6+cu122torch2.1"
    )
    auto = environment.get("config:bf16.enabled")
    assert auto and auto.is_implied


def test_a_broken_config_is_a_problem_and_a_log_is_no_package_list(tmp_path: Path) -> None:
    config, log = tmp_path / "ds_config.json", tmp_path / "environment.txt"
    config.write_text('{"zero_optimization": {"stage": 2, "fp16": ')
    log.write_text("starting\n{'loss': 1.0, 'epoch': 0.1}\ntorch==2.1.0\nmore text\n")
    run = read([config, log], strict=True)
    assert [problem.reader for problem in run.problems] == ["ds_config"] and run.series("loss")


def test_conda_list(tmp_path: Path) -> None:
    path = tmp_path / "conda_list.txt"
    path.write_text("# packages in environment at /x:\n#\npytorch                   2.1.2           py3.10_cuda12.1_0    pytorch\n"
                    "numpy                     1.26.4                   pypi_0    pypi\n")  # fmt: skip
    environment = read([path], strict=True).environment
    assert environment.value("package:torch") == "2.1.2" and environment.value("package:numpy") == "1.26.4"
