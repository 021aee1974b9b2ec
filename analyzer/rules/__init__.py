"""One module a rule, its page beside it: see `analyzer.rule`."""
