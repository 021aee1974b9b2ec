"""Reports reach the disk whole or not at all; verdicts become exit codes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.errors import FOUND, NOTHING, OK, UsageError

if TYPE_CHECKING:
    from analyzer.model import Diagnosis


def exit_code(diagnosis: Diagnosis, fail_on: str) -> int:
    """1 for a finding at or above `fail_on`, 3 where nothing could be judged, else 0; the larger wins."""
    if diagnosis.verdict == "unjudged" and not diagnosis.findings:
        return NOTHING
    if fail_on != "never" and diagnosis.loud(fail_on):  # type: ignore[arg-type]
        return FOUND
    return OK


def write(path: Path, text: str) -> None:
    r"""Writes a file whole or not at all. Raises UsageError where it cannot be written.

    Bytes of a name that are no UTF-8 become `\udcff`, which in JSON is that name again.
    """
    import tempfile

    try:
        folder = path.parent
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
                file.write(text)
            permissions(temporary)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror}): choose another place for the report.") from None


def permissions(path: str) -> None:
    """Gives a file that was made in secret the permissions of an ordinary one."""
    os.chmod(path, 0o666 & ~_umask())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
