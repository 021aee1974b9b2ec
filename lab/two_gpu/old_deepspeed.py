"""`sitecustomize` for DeepSpeed up to 0.12 under a newer torch and numpy; installed as `shim/sitecustomize.py`.

torch renamed the elastic agent's module-level `log` and dropped `_get_socket_with_port`, numpy 2 dropped `BUFSIZE`. Old DeepSpeed
imports them and uses none of them here.
"""

from __future__ import annotations

import importlib.util
import socket
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType


def _torch(module: ModuleType) -> None:
    if not hasattr(module, "log") and hasattr(module, "logger"):
        module.log = module.logger
    if not hasattr(module, "_get_socket_with_port"):
        module._get_socket_with_port = lambda: socket.create_server(("localhost", 0))


def _numpy(module: ModuleType) -> None:
    if not hasattr(module, "BUFSIZE"):
        module.BUFSIZE = 8192


MENDED: dict[str, Callable[[ModuleType], None]] = {"torch.distributed.elastic.agent.server.api": _torch, "numpy": _numpy}


class Finder:
    """Mends the named modules when they are imported."""

    @staticmethod
    def find_spec(name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        """The module's own place, with a loader that mends it afterwards."""
        mend = MENDED.pop(name, None)
        spec = importlib.util.find_spec(name) if mend else None
        if mend is None or spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def mended(module: ModuleType) -> None:
            load(module)
            mend(module)

        spec.loader.exec_module = mended  # type: ignore[method-assign]
        return spec


sys.meta_path.insert(0, Finder)
