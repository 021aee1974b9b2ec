"""Hypothesis strategies for whole logs, for tests of what must hold whatever a log says."""
