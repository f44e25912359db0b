"""Who is at the other end of a connection: the user's number, as the kernel says it.

A unix socket has it by the connection. Loopback TCP has not, and is open to every user of the
machine: there the kernel is asked who holds the client's own socket, which only Linux tells.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import sys

from gfattach.core.peer import inet_diag, tcp_table

#: Seconds between looks for a socket that is not there yet, and how many looks.
_RETRY_SECONDS = 0.002
_LOOKS = 5

#: Whether the user behind a TCP connection can be told on this system.
TCP_PEERS_KNOWN = tcp_table.READABLE

#: States of the client's socket in which it belongs to a process: established, and half-closed.
_OWNED_STATES = (1, 4, 5, 8)

#: macOS: level and option of LOCAL_PEERCRED, and the size of `struct xucred` (sys/ucred.h).
_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED_BYTES = 0, 1, 76


def unix_peer_uid(connection: socket.socket) -> int | None:
    """The user number of who connected to a unix socket; None where the system does not say."""
    try:
        if sys.platform.startswith("linux"):
            size = struct.calcsize("3i")
            return int(
                struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))[1]
            )
        credentials = connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED_BYTES)
        return int(struct.unpack_from("=II", credentials)[1])
    except (OSError, struct.error):
        return None


async def tcp_peer_uid(connection: socket.socket) -> int | None:
    """The user number of who connected over loopback TCP; None when no process holds the other end.

    A process that has closed its socket already is unknown: the kernel shows such sockets as root's.
    """
    for look in range(_LOOKS):
        if look:
            await asyncio.sleep(_RETRY_SECONDS)
        uid = tcp_peer_at_once(connection)
        if uid is not None:
            return uid
    return None


def tcp_peer_at_once(connection: socket.socket) -> int | None:
    """The same by one look; None also while the client's socket cannot be seen yet."""
    try:
        ours, theirs = connection.getsockname()[:2], connection.getpeername()[:2]
    except OSError:
        return None
    return owner(theirs, ours)


def abandoned(connection: socket.socket) -> bool:
    """Whether no process holds the other end of a loopback TCP connection any more.

    To be asked when the other end has stopped sending: only the kernel tells an end of writing
    from an end of all.
    """
    try:
        ours, theirs = connection.getsockname()[:2], connection.getpeername()[:2]
    except OSError:
        return True
    return TCP_PEERS_KNOWN and owner(theirs, ours) is None


def owner(local: tuple[str, int], remote: tuple[str, int]) -> int | None:
    """The user number of the process whose TCP socket goes from `local` to `remote`, both on this machine."""
    found = _find(local, remote)
    if found is None:
        return None
    state, uid, inode = found
    # Without an inode nobody holds the socket any more, and the uid is 0 whoever it was.
    return uid if state in _OWNED_STATES and inode else None


def _find(local: tuple[str, int], remote: tuple[str, int]) -> tuple[int, int, int] | None:
    try:
        found = inet_diag.find(local, remote)
        # A kernel that does not know the other end, which is there, has not looked.
        if found is not None or inet_diag.find(remote, local) is not None:
            return found
    except inet_diag.Unsupported:
        pass
    return tcp_table.find(local, remote)


def trusted(uid: int | None) -> bool:
    """Whether `uid` may use what this process holds: this user, and root, who could anyway."""
    return uid is not None and uid in (os.geteuid(), 0)
