"""Who is at the other end of a connection: the user's number, as the kernel says it.

A unix socket has it by the connection. Loopback TCP has not, and is open to every user of the
machine: there the client's own socket is looked up in the kernel's table of TCP sockets
(`/proc/net/tcp`, `tcp6`; proc(5)), which only Linux has.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import sys
from pathlib import Path

#: Seconds between looks for a row that is not there yet, and how many looks.
_RETRY_SECONDS = 0.002
_LOOKS = 5

_TABLES = (Path("/proc/self/net/tcp"), Path("/proc/self/net/tcp6"))

#: Whether the user behind a TCP connection can be told on this system.
TCP_PEERS_KNOWN = os.access(_TABLES[0], os.R_OK)

#: States of the client's socket in which it belongs to a process: established, and half-closed.
_OWNED_STATES = (b"01", b"04", b"05", b"08")

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
    try:
        ours, theirs = connection.getsockname()[:2], connection.getpeername()[:2]
    except OSError:
        return None
    for look in range(_LOOKS):
        if look:
            await asyncio.sleep(_RETRY_SECONDS)
        uid = owner(theirs, ours)
        if uid is not None:
            return uid
    return None


def abandoned(connection: socket.socket) -> bool:
    """Whether no process holds the other end of a loopback TCP connection any more.

    To be asked when the other end has stopped sending: only the kernel's table tells an end of writing
    from an end of all.
    """
    try:
        ours, theirs = connection.getsockname()[:2], connection.getpeername()[:2]
    except OSError:
        return True
    return TCP_PEERS_KNOWN and owner(theirs, ours) is None


def owner(local: tuple[str, int], remote: tuple[str, int]) -> int | None:
    """The user number of the process whose TCP socket goes from `local` to `remote`, both on this machine."""
    for table, row in zip(_TABLES, (_row_v4(local, remote), _row_v6(local, remote)), strict=True):
        try:
            content = table.read_bytes() if row else b""
        except OSError:
            continue
        place = content.find(row) if row else -1
        if place < 0:
            continue
        line = content[place : content.find(b"\n", place)].split()
        # local, remote, state, queues, timer, retransmits, uid, timeout, inode. Without an inode nobody
        # holds the socket any more, and the uid is 0 whoever it was.
        if line[2] in _OWNED_STATES and line[8] != b"0":
            return int(line[6])
    return None


def trusted(uid: int | None) -> bool:
    """Whether `uid` may use what this process holds: this user, and root, who could anyway."""
    return uid is not None and uid in (os.geteuid(), 0)


def _row_v4(local: tuple[str, int], remote: tuple[str, int]) -> bytes:
    if ":" in local[0]:
        return b""
    return b" %b %b " % (
        _hex(socket.inet_aton(local[0]), local[1]),
        _hex(socket.inet_aton(remote[0]), remote[1]),
    )


def _row_v6(local: tuple[str, int], remote: tuple[str, int]) -> bytes:
    """The row of an IPv6 socket; one that speaks IPv4 (a JVM's, say) is there with mapped addresses."""
    return b" %b %b " % tuple(_hex(_mapped(address), port) for address, port in (local, remote))


def _mapped(address: str) -> bytes:
    if ":" in address:
        return socket.inet_pton(socket.AF_INET6, address.partition("%")[0])
    return bytes(10) + b"\xff\xff" + socket.inet_aton(address)


def _hex(address: bytes, port: int) -> bytes:
    """As the table has it: words of 32 bits in the machine's own byte order."""
    words = struct.unpack(f"={len(address) // 4}I", address)
    return b"%b:%04X" % (b"".join(b"%08X" % word for word in words), port)
