"""What listens at an address: names, ports, and whether it speaks TLS or plain HTTP.

One step below an HTTP client, because the difference between the two, and between a listener that
refuses, hangs up and stays silent, is what a person needs to know and what a client's error hides.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from gfattach.core.deadline import Deadline
from gfattach.core.endpoint import Endpoint
from gfattach.nixcache.errors import Kind, NixCacheError
from gfattach.tls.context import default

#: An address as `socket` has it: family, and what `connect` takes.
Address = tuple[socket.AddressFamily, Any]

#: How servers that speak TLS refuse a plain request in plain HTTP (Go, nginx, Apache).
_PLAIN_REFUSAL = re.compile(
    rb"(?i)http request (was )?(sent )?to (an )?https (server|port)|speaking plain HTTP to an SSL"
)

#: Seconds that the rest of such a refusal may take to arrive.
_REFUSAL_SECONDS = 1.0


class WireProtocol(StrEnum):
    """What a listener answers a plain HTTP request with."""

    HTTP = "http"
    TLS = "tls"
    OTHER = "other"
    CLOSED = "closed"
    SILENT = "silent"


def resolve(host: str, port: int) -> list[Address]:
    """The addresses of `host`. Raises socket.gaierror. The resolver's own time limit applies."""
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in infos]


def connect(addresses: list[Address], deadline: Deadline) -> socket.socket:
    """A connection to the first of `addresses` that accepts one. Raises OSError, that of the last."""
    failure: OSError = TimeoutError("no time was left")
    for place, (family, address) in enumerate(addresses):
        connection = socket.socket(family, socket.SOCK_STREAM)
        # Those that are still to be tried share the time that is left.
        connection.settimeout(max(0.001, deadline.remaining() / (len(addresses) - place)))
        try:
            connection.connect(address)
        except OSError as error:
            connection.close()
            failure = error
            continue
        return connection
    raise failure


def request(endpoint: Endpoint) -> bytes:
    """The plain HTTP request that a listener is tried with."""
    lines = (
        f"GET {endpoint.path}/nix-cache-info HTTP/1.1",
        f"Host: {endpoint.authority}",
        "Accept: */*",
        "Connection: close",
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


def sniff(connection: socket.socket, endpoint: Endpoint, deadline: Deadline) -> WireProtocol:
    """What the other end of `connection` (plain, or TLS) answers an HTTP request with.

    Raises ssl.SSLError where TLS itself refuses.
    """
    received = b""
    try:
        with contextlib.suppress(BrokenPipeError):  # it hung up, and may have said why before
            connection.settimeout(max(0.001, deadline.remaining()))
            connection.sendall(request(endpoint))
        while len(received) < 4096 and _undecided(received):
            connection.settimeout(max(0.001, deadline.remaining()))
            piece = connection.recv(4096)
            if not piece:
                break
            deadline = deadline if received else deadline.within(_REFUSAL_SECONDS)
            received += piece
    except TimeoutError:
        if not received:
            return WireProtocol.SILENT
    except ssl.SSLError:
        raise
    except OSError:
        pass  # a reset: what was received before it counts
    if not received:
        return WireProtocol.CLOSED
    # A TLS alert (21) or handshake (22) record of version 3.x.
    if re.match(rb"[\x15\x16]\x03[\x00-\x04]", received):
        return WireProtocol.TLS
    if received.startswith(b"HTTP/"):
        return WireProtocol.TLS if _PLAIN_REFUSAL.search(received) else WireProtocol.HTTP
    return WireProtocol.OTHER


def _undecided(received: bytes) -> bool:
    """Whether more has to be read: too little for a status line, or a 400 whose reason is to come."""
    return len(received) < 12 or re.match(rb"HTTP/1\.[01] 400", received) is not None


def tls_context(ca_file: Path | None, environ: Mapping[str, str] = os.environ) -> ssl.SSLContext:
    """What a server's certificate is checked against: `ca_file` alone, or else what Nix takes.

    That is `NIX_SSL_CERT_FILE`, `SSL_CERT_FILE`, or the platform's authorities. Raises NixCacheError
    of kind CA_FILE.
    """
    named = ca_file or environ.get("NIX_SSL_CERT_FILE") or environ.get("SSL_CERT_FILE") or None
    try:
        return default(named)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        bad = isinstance(error, ssl.SSLError | ValueError)
        reason = "it holds no certificate" if bad else getattr(error, "strerror", "") or error
        raise NixCacheError(
            Kind.CA_FILE,
            f"the authority file {named} cannot be used: {str(reason).lower()}",
            f"look at it: openssl x509 -in {named} -noout -subject -enddate",
        ) from error


@dataclass(frozen=True)
class TlsSession:
    """What a handshake agreed on."""

    version: str
    protocol: WireProtocol


def shake_hands(
    connection: socket.socket, endpoint: Endpoint, context: ssl.SSLContext, deadline: Deadline
) -> TlsSession:
    """Speak TLS on `connection` and try it with a request. Raises ssl.SSLError and OSError.

    The request matters: with TLS 1.3 a server that wants a client's certificate says so only then.
    """
    connection.settimeout(max(0.001, deadline.remaining()))
    with context.wrap_socket(connection, server_hostname=endpoint.host) as secured:
        return TlsSession(secured.version() or "", sniff(secured, endpoint, deadline))
