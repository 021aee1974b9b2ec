"""What only two GPUs show: the race of overlapped gradient reduction, and failures of NCCL. See `docs/two-gpus.md`.

python -m lab.two_gpu prepare WHEELS             where packages can be had: DeepSpeed's wheels, a version each
python -m lab.two_gpu run WHEELS --into FOLDER   where two GPUs are: everything, in minutes
python -m lab.two_gpu table FOLDER               what happened, as Markdown
"""
