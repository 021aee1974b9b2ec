"""One module a framework: see `parsers.registry`."""
