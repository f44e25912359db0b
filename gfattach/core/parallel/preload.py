"""Imports ahead: modules that will be needed are read while something else is waited for."""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections.abc import Iterable


def preload(modules: Iterable[str]) -> threading.Thread:
    """Import `modules` in order, in a thread that nothing waits for.

    Who needs one of them meanwhile waits for that module alone. What cannot be imported is told by whoever
    needs it, and not here.
    """
    names = tuple(modules)

    def read() -> None:
        for name in names:
            with contextlib.suppress(Exception):
                importlib.import_module(name)

    thread = threading.Thread(target=read, name="preload", daemon=True)
    thread.start()
    return thread
