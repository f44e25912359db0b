"""The descriptor budget: whether another client can be served without ending what is held already."""

from __future__ import annotations

import resource
import socket

#: Descriptors that are kept for health, questions to the API server, the control socket and files.
_RESERVED = 32


def within_descriptor_budget(connection: socket.socket, dialling: int) -> bool:
    """Whether `connection`, just accepted, can be served; `dialling` clients still need one for the upstream.

    The system hands out the lowest number that is free, so that a number tells how many are in use.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return True
    return connection.fileno() + dialling + 1 < limit - min(_RESERVED, limit // 4)
