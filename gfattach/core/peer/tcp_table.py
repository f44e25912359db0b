"""The kernel's table of TCP sockets as text (`/proc/net/tcp`, `tcp6`; proc(5)): where netlink is not had."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

_TABLES = (Path("/proc/self/net/tcp"), Path("/proc/self/net/tcp6"))

#: Whether this system has the table.
READABLE = os.access(_TABLES[0], os.R_OK)


def find(local: tuple[str, int], remote: tuple[str, int]) -> tuple[int, int, int] | None:
    """State (linux/tcp_states.h), user number and inode of the TCP socket from `local` to `remote`."""
    for table, row in zip(_TABLES, (_row_v4(local, remote), _row_v6(local, remote)), strict=True):
        try:
            content = table.read_bytes() if row else b""
        except OSError:
            continue
        place = content.find(row) if row else -1
        if place < 0:
            continue
        # local, remote, state, queues, timer, retransmits, uid, timeout, inode.
        line = content[place : content.find(b"\n", place)].split()
        return int(line[2], 16), int(line[6]), int(line[8])
    return None


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
