"""Under which names the whole-file readers know their files, and a small file of each to begin with."""

from __future__ import annotations

from typing import Final

NAMES: Final = {
    "conda_environment": "environment.yml",
    "deepspeed_csv": "Train_Samples_train_loss.csv",
    "ds_config": "ds_config.json",
    "flight_recorder": "nccl_trace_rank_0",
    "generic_csv": "progress.csv",
    "hf_results_json": "all_results.json",
    "lightning_csv": "metrics.csv",
    "lock_file": "poetry.lock",
    "mlflow": "mlruns/0/abc/metrics/loss",
    "mlflow_db": "mlflow.db",
    "pipfile_lock": "Pipfile.lock",
    "pyproject": "pyproject.toml",
    "requirements": "requirements.txt",
    "tensorboard": "events.out.tfevents.1795486664.vm.18999.0",
    "trainer_state": "trainer_state.json",
    "training_args": "training_args.bin",
    "ultralytics_csv": "results.csv",
    "wandb_config": "config.yaml",
    "wandb_metadata": "wandb-metadata.json",
    "wandb_run": "run-abc123.wandb",
    "wandb_summary": "wandb-summary.json",
}
"""Reader → name below the run's folder. `tests/fuzz/test_corpus.py` holds it complete."""

SEEDS: Final[dict[str, tuple[bytes, ...]]] = {
    "conda_environment": (
        b"name: x\nchannels:\n  - conda-forge\ndependencies:\n  - pytorch=2.1.2=py3.10\n  - pip:\n    - deepspeed==0.14.0\n",
    ),
    "deepspeed_csv": (b"step,train_loss\n1,2.5\n2,nan\n",),
    "ds_config": (b'{"zero_optimization": {"stage": 2, "overlap_comm": true}, "fp16": {"enabled": "auto"}}',),
    "flight_recorder": (
        b'{"version": "2.10", "pg_config": {"0": {"ranks": "[0, 1]"}}, "pg_status": {"0": {"last_enqueued_collective": 6}},'
        b' "entries": [{"record_id": 1, "pg_name": "0", "collective_seq_id": 6, "profiling_name": "nccl:all_reduce",'
        b' "input_sizes": [[4]], "state": "started", "frames": [{"name": "f", "filename": "/x/t.py", "line": 3}]}]}',
        b"\x80\x02}q\x00(X\x07\x00\x00\x00versionq\x01X\x04\x00\x00\x002.10q\x02X\x07\x00\x00\x00entriesq\x03]q\x04u.",
    ),
    "generic_csv": (b"step,loss,lr\n1,2.5,1e-4\n2,nan,0\n", b"epoch;loss\n1;0,5\n"),
    "hf_results_json": (b'{"epoch": 3.0, "train_loss": 1.23, "train_runtime": 1234.5, "eval_loss": NaN}',),
    "lightning_csv": (b"epoch,step,train_loss_step,val_loss\n0,9,1.5,\n0,9,,2.5\n",),
    "lock_file": (b'[[package]]\nname = "torch"\nversion = "2.1.2"\n',),
    "mlflow": (b"1795487985000 0.5123 10\n1795487986000 nan 20\n",),
    "pipfile_lock": (b'{"_meta": {}, "default": {"torch": {"version": "==2.1.2"}}}',),
    "pyproject": (
        b'[project]\ndependencies = ["torch==2.1.2", "deepspeed==0.12.6"]\n[tool.poetry.dependencies]\npeft = "0.4.0"\n',
    ),
    "requirements": (b"torch==2.1.2+cu121\n-e git+https://x/y@abc#egg=z\ndeepspeed>=0.12,<0.14 ; python_version > '3'\n",),
    "trainer_state": (
        b'{"log_history": [{"epoch": 0.002, "grad_norm": NaN, "loss": 0.0, "step": 1}, {"eval_loss": 1.5, "step": 1}],'
        b' "max_steps": 20, "global_step": 1, "logging_steps": 1}',
    ),
    "ultralytics_csv": (b"epoch,time,train/box_loss,train/cls_loss,lr/pg0\n1,2,0.5,0.25,0.1\n",),
    "wandb_config": (
        b"_wandb:\n    desc: null\n    value:\n        cli_version: 0.16.1\nlearning_rate:\n    desc: null\n    value: 0.001\n",
    ),
    "wandb_metadata": (b'{"python": "3.10.12", "args": ["--bf16"], "program": "train.py", "gpu": "A100", "gpu_count": 8}',),
    "wandb_summary": (b'{"train/loss": 0.5, "train/global_step": 4, "_step": 3, "_timestamp": 1.7e9}',),
}
