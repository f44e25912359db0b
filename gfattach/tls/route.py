"""Ways in to a TLS server: its port, a unix socket, an HTTP proxy.

A way is a function that makes a connection anew by its deadline, because what went wrong on one
connection is looked at on another. Each raises OSError when there is no connection to be had.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from pathlib import Path

from gfattach.core.deadline import Deadline

#: Makes a connection by a deadline. Raises OSError.
Route = Callable[[Deadline], socket.socket]

#: Bytes of a proxy's answer that are read.
_ANSWER_BYTES = 8192


class ProxyRefusal(ConnectionError):
    """An HTTP proxy that does not lead on; the text is what it said."""


def to_host(host: str, port: int) -> Route:
    """Straight to `host` and `port`."""

    def dial(deadline: Deadline) -> socket.socket:
        return socket.create_connection((host, port), timeout=max(0.01, deadline.remaining()))

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


def through_proxy(proxy: Route, host: str, port: int, authorization: str | None = None) -> Route:
    """By the HTTP proxy that `proxy` leads to, which is asked to CONNECT (RFC 9110, 9.3.6).

    `authorization` is the whole value of Proxy-Authorization, and never shown.
    """
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if authorization is not None:
        lines.append(f"Proxy-Authorization: {authorization}")
    request = "".join(f"{line}\r\n" for line in (*lines, "")).encode("latin-1")

    def dial(deadline: Deadline) -> socket.socket:
        connection = proxy(deadline)
        try:
            _ask_proxy(connection, request, deadline)
        except OSError:
            connection.close()
            raise
        return connection

    return dial


def _ask_proxy(connection: socket.socket, request: bytes, deadline: Deadline) -> None:
    connection.settimeout(max(0.01, deadline.remaining()))
    connection.sendall(request)
    answer = b""
    # A byte at a time: what follows the head belongs to the server behind the proxy.
    while not answer.endswith(b"\r\n\r\n") and len(answer) < _ANSWER_BYTES:
        connection.settimeout(max(0.01, deadline.remaining()))
        piece = connection.recv(1)
        if not piece:
            break
        answer += piece
    line = answer.partition(b"\r\n")[0]
    if re.match(rb"HTTP/1\.[01] 2\d\d", line) is None:
        said = "".join(c if c.isprintable() else "." for c in line.decode("latin-1"))[:120]
        raise ProxyRefusal(f"the proxy says {said}" if said else "the proxy hangs up")
