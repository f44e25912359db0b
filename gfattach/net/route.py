"""Routes to a server for who may block: its port, a unix socket, a proxy.

A route is a function that makes a connection anew by its deadline, because what went wrong on one
connection is looked at on another. Each raises OSError or DialError when there is no connection to be had.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

from gfattach.core.deadline import Deadline
from gfattach.net.errors import DialError
from gfattach.net.proxy import Proxy, negotiate

#: Makes a connection by a deadline. Raises OSError and DialError.
Route = Callable[[Deadline], socket.socket]


def to_host(host: str, port: int) -> Route:
    """Straight to `host` and `port`: to the first address that takes a connection, the time shared."""

    def dial(deadline: Deadline) -> socket.socket:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        failure: OSError = TimeoutError("no time was left")
        for place, (family, kind, protocol, _, address) in enumerate(found):
            connection = socket.socket(family, kind, protocol)
            connection.settimeout(max(0.01, deadline.remaining() / (len(found) - place)))
            try:
                connection.connect(address)
            except OSError as error:
                connection.close()
                failure = error
                continue
            connection.settimeout(max(0.01, deadline.remaining()))
            return connection
        raise failure

    return dial


def to_socket(path: Path) -> Route:
    """By the unix socket at `path`."""

    def dial(deadline: Deadline) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(max(0.01, deadline.remaining()))
            connection.connect(str(path))
        except OSError:
            connection.close()
            raise
        return connection

    return dial


def through_proxy(proxy: Proxy, host: str, port: int) -> Route | None:
    """By `proxy`; None by one that is spoken to in TLS, within which a socket cannot speak TLS again."""
    if proxy.scheme == "https":
        return None
    first = to_host(proxy.host, proxy.port)

    def dial(deadline: Deadline) -> socket.socket:
        connection = first(deadline)
        try:
            _drive(connection, proxy, host, port, deadline)
        except (OSError, DialError):
            connection.close()
            raise
        return connection

    return dial


def _drive(connection: socket.socket, proxy: Proxy, host: str, port: int, deadline: Deadline) -> None:
    negotiation = negotiate(proxy, host, port)
    answer = b""
    try:
        step = next(negotiation)
        while True:
            connection.settimeout(max(0.01, deadline.remaining()))
            if isinstance(step, int):
                answer = b""
                while len(answer) < step:
                    piece = connection.recv(step - len(answer))
                    if not piece:
                        raise DialError("proxy-failed", f"{proxy.name} closed the connection unanswered")
                    answer += piece
            else:
                connection.sendall(step)
            step = negotiation.send(answer)
    except StopIteration:
        return
