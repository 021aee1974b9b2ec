"""Inputs that somebody made to do harm, and surroundings that fail: the documented exit code, one sentence, bounded cost.

The default tests are scaled down; `python -m pytest tests/hostile -m slow` runs the full sizes (a gigabyte of line, a hundred
million empty lines). SECURITY.md says what is bounded and by what.
"""
