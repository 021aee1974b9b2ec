"""Programs that fail on purpose: what made the logs under `sample_logs/`. Not part of the wheel."""
