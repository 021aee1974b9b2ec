# Shortcuts; every target is one command that can be typed by hand.
PYTHON ?= .venv/bin/python

.PHONY: venv demo test lint format samples translations golden audit fuzz
venv:       ; python3 -m venv .venv && .venv/bin/pip install -e '.[dev]'
demo:       ; $(PYTHON) -m analyzer sample_logs/hf-deepspeed/nanfrom-ds0.14.5-z2-bf16-hf444-s12/run.log
test:       ; $(PYTHON) -m pytest
lint:       ; $(PYTHON) -m pytest tests/test_static.py
format:     ; $(PYTHON) -m ruff format . && $(PYTHON) -m ruff check --fix .
samples:    ; $(PYTHON) -m tests.samples
translations: ; $(PYTHON) -m tests.translations
golden:     ; $(PYTHON) -m tests.test_golden
audit:      ; PYTHON=$(PYTHON) .ci/audit
fuzz:       ; $(PYTHON) -m tests.fuzz all --minutes 30
