"""Runs that are still going on: following their files, judging what is new, and acting on it."""
