"""How fast the tool is, measured: each module is a command."""
