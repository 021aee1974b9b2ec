"""Coverage-guided fuzzing: `python -m tests.fuzz TARGET --minutes N`; what it finds stays in `corpus/` as a test."""
