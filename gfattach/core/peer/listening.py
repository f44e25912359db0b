"""The owner of a listening TCP socket: whose a loopback port is, as the kernel says it.

A port that one process has released any user of the machine may take. So before a token or a build goes to
one that should be this user's, the kernel is asked; only Linux tells.
"""

from __future__ import annotations

import os
import socket
from enum import StrEnum

from msgspec import Struct

from gfattach.core.peer import inet_diag, tcp_table

#: The state of a listening socket (linux/tcp_states.h).
_LISTEN = 10


class Ownership(StrEnum):
    """Whose a port is."""

    OWN = "own"
    FOREIGN = "foreign"
    FREE = "free"
    """Nobody listens there, so that anybody may."""
    UNKNOWN = "unknown"
    """The kernel cannot be asked here."""


class Listening(Struct, frozen=True):
    """Who listens at a port; `uid` is None where nobody does, or it cannot be told."""

    ownership: Ownership
    uid: int | None = None


def listening(address: str, port: int) -> Listening:
    """Who accepts connections to `port` at the loopback `address` (as text, or `localhost`), now."""
    uid = _uid("127.0.0.1" if address == "localhost" else address, port)
    if uid is not None:
        return Listening(Ownership.OWN if uid == os.geteuid() else Ownership.FOREIGN, uid)
    return Listening(Ownership.FREE if _free(address, port) else Ownership.UNKNOWN)


def _uid(address: str, port: int) -> int | None:
    """The user of the socket that the kernel would give a connection to; None for none, or no answer."""
    anywhere = "::" if ":" in address else "0.0.0.0"
    try:
        found = inet_diag.find((address, port), (anywhere, 0))
        if found is not None:
            return found[1] if found[0] == _LISTEN else None
    except inet_diag.Unsupported:
        pass
    places = [(address, anywhere), (anywhere, anywhere)]
    if ":" not in address:
        places += [(f"::ffff:{address}", "::"), ("::", "::")]
    for local, remote in places:
        row = tcp_table.find((local, port), (remote, 0))
        if row is not None and row[0] == _LISTEN:
            return row[1]
    return None


def _free(address: str, port: int) -> bool:
    """Whether a connection is refused there at once."""
    try:
        with socket.create_connection((address, port), 1.0):
            return False
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
