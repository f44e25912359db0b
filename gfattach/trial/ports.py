"""Ports of the embedded caches: where they listen, and what it means that one cannot be had."""

from __future__ import annotations

import errno
import os
import socket

from gfattach.core.errors import UsageError

LOOPBACK = "127.0.0.1"


class PortError(UsageError):
    """A port cannot be bound."""

    default_code = "trial.port"


def port_error(port: int, error: OSError) -> PortError:
    """The typed error for `error`, which befell binding `port` on loopback."""
    if error.errno == errno.EADDRINUSE:
        return PortError(
            f"port {port} on {LOOPBACK} is in use",
            f"see by whom: ss -ltnp 'sport = :{port}'",
            "name another port, or none: then a free one is taken",
            code="trial.port-in-use",
        )
    reason = os.strerror(error.errno).lower() if error.errno else str(error)
    return PortError(
        f"port {port} on {LOOPBACK} cannot be bound: {reason}",
        "name a port from 1024 on, or none: then a free one is taken",
    )


def check_port(port: int) -> None:
    """Raise PortError for a `port` on loopback that cannot be bound just now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen()
        except OSError as error:
            raise port_error(port, error) from error
