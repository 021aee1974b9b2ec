"""The `analyze` command: arguments only. Each command hands over to a module that does the work."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of the console script."""
    from analyzer.diagnose import diagnose
    from analyzer.output.document import dumps
    from parsers import UnreadableError

    paths = [arg for arg in sys.argv[1:] if not arg.startswith("--") and arg != "json"]
    try:
        diagnosis = diagnose(paths)
    except UnreadableError as error:
        print(error, file=sys.stderr)
        raise SystemExit(3) from None
    sys.stdout.write(dumps(diagnosis) + "\n")
    raise SystemExit(3 if diagnosis.verdict == "unjudged" else 0)
