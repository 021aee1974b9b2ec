"""Lets DeepSpeed up to 0.12 be imported under newer torch and numpy: put this folder into PYTHONPATH.

torch renamed the elastic agent's module-level `log` and dropped `_get_socket_with_port`; numpy 2 dropped `BUFSIZE`.
"""

from __future__ import annotations

import importlib.util
import socket
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from typing import Any


def _free_socket() -> socket.socket:
    opened = socket.socket()
    opened.bind(("localhost", 0))
    opened.listen(0)
    return opened


def _mend_torch(module: Any) -> None:
    module.log = getattr(module, "log", None) or getattr(module, "logger", None)
    module._get_socket_with_port = getattr(module, "_get_socket_with_port", _free_socket)


def _mend_numpy(module: Any) -> None:
    module.BUFSIZE = getattr(module, "BUFSIZE", 8192)


MENDS: dict[str, Callable[[Any], None]] = {"torch.distributed.elastic.agent.server.api": _mend_torch, "numpy": _mend_numpy}


class Finder:
    """Mends a module right after it was executed."""

    @staticmethod
    def find_spec(name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        """The module's own spec, with the mend behind its loader."""
        mend = MENDS.pop(name, None)
        spec = importlib.util.find_spec(name) if mend else None
        if mend is None or spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            execute(module)
            mend(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


sys.meta_path.insert(0, Finder)  # type: ignore[arg-type]
