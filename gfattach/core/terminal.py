"""The user's terminal, as a child may be handed it: its stdin, and what is shown while the child waits."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager

from msgspec import Struct, field

from gfattach.core.redact import redact


class Terminal(Struct, frozen=True):
    """`interactive` says that stdin is a terminal, as kubectl asks it; `show` is handed bytes to show there.

    Within `borrowed` nothing else draws on it: what a child says, and what its user types, stays legible.
    """

    interactive: bool
    show: Callable[[bytes], None]
    borrowed: Callable[[], AbstractContextManager[None]] = field(default=contextlib.nullcontext)


def standard_terminal(borrowed: Callable[[], AbstractContextManager[None]]) -> Terminal:
    """The terminal of this process: stdin, and stderr, where lines are redacted unless a person reads it."""
    drawn = sys.stderr.isatty()

    def show(data: bytes) -> None:
        text = data if drawn else redact(data.decode("utf-8", "replace")).encode()
        with contextlib.suppress(OSError):
            os.write(2, text)

    return Terminal(sys.stdin is not None and sys.stdin.isatty(), show, borrowed)
