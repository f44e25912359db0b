"""Proxies: CONNECT over HTTP (RFC 9110, 9.3.6) and SOCKS5 (RFC 1928, RFC 1929), without I/O.

The proxy resolves names. A negotiation is a generator: it yields bytes to be sent, or the number of bytes
that it needs next; whoever drives it blocks (`gfattach.net.route`) or does not (`gfattach.net.connect`).
"""

from __future__ import annotations

import base64
import contextlib
import socket
from collections.abc import Generator
from typing import ClassVar

from gfattach.core.value import Redacted
from gfattach.net.errors import DialError, shown

#: Bytes that a proxy's answer to CONNECT may have.
_ANSWER = 65536

#: RFC 1928, section 6.
_SOCKS_REPLIES = {
    1: "general failure",
    2: "not allowed by its rules",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "TTL expired",
    7: "it knows no CONNECT",
    8: "it does not know this kind of address",
}

#: Yields what to send, or how many bytes to read; is sent what was read.
Negotiation = Generator[bytes | int, bytes, None]


class Proxy(Redacted, frozen=True):
    """A proxy on the path to a server: `scheme` is http, https or socks5."""

    REDACTED: ClassVar = frozenset({"username", "password"})

    scheme: str
    host: str
    port: int
    username: str | None = None
    password: str | None = None

    @property
    def name(self) -> str:
        """How a sentence calls it."""
        return f"the proxy {shown(self.host, self.port)}"


def negotiate(proxy: Proxy, host: str, port: int) -> Negotiation:
    """Have `proxy` connect to `host`:`port`. Raises DialError into whoever drives it."""
    return (_socks5 if proxy.scheme == "socks5" else _connect)(proxy, host, port)


def _connect(proxy: Proxy, host: str, port: int) -> Negotiation:
    authority = shown(host, port)
    lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
    if proxy.username is not None:
        pair = base64.b64encode(f"{proxy.username}:{proxy.password or ''}".encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {pair}")
    yield "\r\n".join([*lines, "", ""]).encode()
    head = bytearray()
    # A byte at a time: what follows the head belongs to the server behind the proxy.
    while not head.endswith(b"\r\n\r\n"):
        head += yield 1
        if len(head) > _ANSWER:
            raise DialError("proxy-failed", f"{proxy.name} answers CONNECT without end")
        if not b"HTTP/1.".startswith(head[:7]):
            raise DialError("proxy-failed", f"{proxy.name} is no HTTP proxy: it answers otherwise")
    line = "".join(c if c.isprintable() else "." for c in head.split(b"\r\n", 1)[0].decode("latin-1"))[:200]
    status = line.split(" ")[1] if line.count(" ") else ""
    if status == "407":
        raise _wrong_credentials(proxy)
    if not status.startswith("2"):
        raise DialError(
            "proxy-failed",
            f"{proxy.name} does not connect to {authority}: {line.split(' ', 1)[-1]}",
            "see which proxy is named: proxy-url in the kubeconfig, or HTTPS_PROXY and NO_PROXY",
        )


def _socks5(proxy: Proxy, host: str, port: int) -> Negotiation:
    user, password = proxy.username, proxy.password or ""
    yield b"\x05\x01\x00" if user is None else b"\x05\x02\x00\x02"
    version, method = yield 2
    if version != 5:
        raise DialError("proxy-failed", f"{proxy.name} is no SOCKS5 proxy: it answers otherwise")
    if method == 2 and user is not None:
        name, secret = user.encode()[:255], password.encode()[:255]
        yield bytes([1, len(name)]) + name + bytes([len(secret)]) + secret
        if (yield 2)[1] != 0:
            raise _wrong_credentials(proxy)
    elif method != 0:
        raise _wrong_credentials(proxy)
    yield b"\x05\x01\x00" + _address(host) + port.to_bytes(2, "big")
    _, reply, _, kind = yield 4
    if reply:
        said = _SOCKS_REPLIES.get(reply, f"reply {reply}")
        raise DialError("proxy-failed", f"{proxy.name} does not connect to {shown(host, port)}: {said}")
    length = {1: 4, 4: 16}.get(kind)
    yield (length if length is not None else (yield 1)[0]) + 2


def _address(host: str) -> bytes:
    for kind, family in ((1, socket.AF_INET), (4, socket.AF_INET6)):
        with contextlib.suppress(OSError):
            return bytes([kind]) + socket.inet_pton(family, host)
    name = host.encode("idna")
    return bytes([3, len(name)]) + name


def _wrong_credentials(proxy: Proxy) -> DialError:
    said = "wants a user name and a password" if proxy.username is None else "refuses the user or password"
    return DialError(
        "proxy-auth", f"{proxy.name} {said}", "they stand in the proxy's URL: http://USER:PASSWORD@HOST:PORT"
    )
