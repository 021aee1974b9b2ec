"""Extensions that did not compile or link: the first line of the compiler or linker, before torch's exception.

    /usr/bin/ld: cannot find -lcurand: No such file or directory
    fatal error: cuda_runtime.h: No such file or directory
    ninja: build stopped: subcommand failed.

`ninja: build stopped` and `Error building extension` follow from the first; all are one kind, the first line wins.
"""

from __future__ import annotations

from collections.abc import Iterable

from parsers import kinds
from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Event, Record
from parsers.registry import text_reader
from parsers.sated import sated

_BUILD = Lazy(
    r"\bld: cannot find -l\S+|fatal error: \S+\.(?:h|hpp|cuh): No such file"
    r"|ninja: build stopped|nvcc fatal|unsupported GNU version"
)


@text_reader(
    "op_build",
    title="extensions that did not build (compiler, linker, ninja)",
    hints=("cannot find -l", "fatal error: ", "ninja: build stopped", "nvcc fatal", "unsupported GNU version"),
    example="/usr/bin/ld: cannot find -lcurand: No such file or directory",
)
@sated
class OpBuild:
    """Reads each line on its own."""

    hungry = False

    def feed(self, line: Line) -> Iterable[Record]:
        """The line of the tool that failed."""
        found = _BUILD.search(line.text[:4000])
        if found:
            data = {"message": line.text.strip()[:200], "action": "build"}
            yield Event(kinds.DEPENDENCY_ERROR, line.ref, rank=line.rank, time=line.time, data=data)

    def close(self) -> Iterable[Record]:
        """Nothing is left over."""
        return ()
