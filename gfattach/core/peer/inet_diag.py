"""The kernel's word on one TCP socket of this machine, by netlink (sock_diag(7), linux/inet_diag.h).

One socket is looked up by its two addresses: measured 0.006 ms, where reading the whole of
`/proc/net/tcp` takes 1.7 ms on a quiet machine and more with every socket that is open.
"""

from __future__ import annotations

import errno
import os
import socket
import struct

#: The netlink family, the one kind of message, its flags, and what an error is called.
_NETLINK_SOCK_DIAG, _BY_FAMILY, _REQUEST, _ERROR = 4, 20, 1, 2

#: struct nlmsghdr: length, type, flags, sequence, port.
_HEADER = struct.Struct("=IHHII")

#: struct inet_diag_req_v2 before its sockid: family, protocol, extensions, padding, states.
_REQUESTED = struct.Struct("=BBBBI")

#: struct inet_diag_sockid: ports (network order), addresses, interface, cookie (none: any).
_SOCKET_ID = struct.Struct("!HH16s16s12s")
_ANY = struct.pack("=III", 0, 0xFFFFFFFF, 0xFFFFFFFF)

#: struct inet_diag_msg: family, state, timer, retransmits; after its sockid: expiry, queues, uid, inode.
_STATE = struct.Struct("=BBBB")
_OWNER = struct.Struct("=IIIII")

_ALL_STATES = 0xFFFFFFFF
_ANSWER_BYTES = 4096


class Unsupported(Exception):
    """This kernel, or what is between it and this process, does not answer such questions."""


def find(local: tuple[str, int], remote: tuple[str, int]) -> tuple[int, int, int] | None:
    """State (linux/tcp_states.h), user number and inode of the TCP socket from `local` to `remote`.

    Both addresses are of one family. None where there is no such socket. Raises Unsupported.
    """
    try:
        with socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG
        ) as ask:
            ask.settimeout(0)  # the kernel answers within the call that asks
            ask.send(_question(local, remote))
            answer = ask.recv(_ANSWER_BYTES)
    except (OSError, AttributeError) as error:  # no AF_NETLINK but on Linux
        raise Unsupported(str(error)) from error
    try:
        _, kind, _, _, _ = _HEADER.unpack_from(answer)
        if kind == _ERROR:
            number = -struct.unpack_from("=i", answer, _HEADER.size)[0]
            if number == errno.ENOENT:  # also said where TCP's part of it is not there
                return None
            raise Unsupported(os.strerror(number))
        _, state, _, _ = _STATE.unpack_from(answer, _HEADER.size)
        owner = _OWNER.unpack_from(answer, _HEADER.size + _STATE.size + _SOCKET_ID.size)
    except struct.error as error:
        raise Unsupported("the answer is cut short") from error
    return state, owner[3], owner[4]


def _question(local: tuple[str, int], remote: tuple[str, int]) -> bytes:
    family = socket.AF_INET6 if ":" in local[0] else socket.AF_INET
    source, destination = (
        socket.inet_pton(family, address.partition("%")[0]) for address in (local[0], remote[0])
    )
    asked = _REQUESTED.pack(family, socket.IPPROTO_TCP, 0, 0, _ALL_STATES)
    asked += _SOCKET_ID.pack(local[1], remote[1], source, destination, _ANY)
    return _HEADER.pack(_HEADER.size + len(asked), _BY_FAMILY, _REQUEST, 1, 0) + asked
