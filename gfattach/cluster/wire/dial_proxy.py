"""Through a proxy to a server: CONNECT over HTTP or HTTPS, and SOCKS5; the proxy resolves names."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import ssl

from gfattach.cluster.connection import Proxy
from gfattach.cluster.wire.connect import connect
from gfattach.cluster.wire.dial_errors import DialError, tls_error
from gfattach.cluster.wire.stream import Stream
from gfattach.core.deadline import Deadline
from gfattach.tls.context import default

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


async def through_proxy(proxy: Proxy, host: str, port: int, deadline: Deadline) -> Stream:
    """A connection to `host`:`port`, ready for its first byte. Raises DialError."""
    talk = _Talk(Stream(await connect(proxy.host, proxy.port, deadline, "the proxy ")), proxy)
    try:
        if proxy.scheme == "https":
            await talk.stream.start_tls(default(), proxy.host, deadline)
        negotiate = _socks5 if proxy.scheme == "socks5" else _connect
        await asyncio.wait_for(negotiate(talk, host, port), deadline.remaining())
        return talk.stream
    except BaseException as error:
        talk.stream.shut()
        if isinstance(error, TimeoutError):
            raise DialError(
                "silent",
                f"no answer from {talk.name} to the request for {host}:{port} in time",
                "the proxy is there; what is behind it does not answer: is it the right proxy?",
            ) from None
        if isinstance(error, EOFError):
            raise DialError("proxy-failed", f"{talk.name} closed the connection without an answer") from None
        if isinstance(error, ssl.SSLError):
            raise tls_error(error, f"{proxy.host}:{proxy.port}", proxy.host) from error
        if isinstance(error, OSError):
            said = (error.strerror or str(error)).lower()
            raise DialError("proxy-failed", f"{talk.name} failed: {said}") from None
        raise


class _Talk:
    """A conversation with a proxy, byte for byte: what comes after its answer is the server's."""

    def __init__(self, stream: Stream, proxy: Proxy) -> None:
        self.stream = stream
        self.proxy = proxy
        self.name = f"the proxy {proxy.host}:{proxy.port}"
        self.send = stream.write
        self.receive = stream.read_exactly


async def _connect(talk: _Talk, host: str, port: int) -> None:
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
    proxy = talk.proxy
    if proxy.username is not None:
        pair = base64.b64encode(f"{proxy.username}:{proxy.password or ''}".encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {pair}")
    await talk.send("\r\n".join([*lines, "", ""]).encode())
    head = bytearray()
    while not head.endswith(b"\r\n\r\n"):
        head += await talk.receive(1)
        if len(head) > _ANSWER:
            raise DialError("proxy-failed", f"{talk.name} answers CONNECT without end")
        if not b"HTTP/1.".startswith(head[:7]):
            raise DialError("proxy-failed", f"{talk.name} is no HTTP proxy: it answers otherwise")
    line = head.split(b"\r\n", 1)[0].decode("latin-1")
    status = line.split(" ")[1] if line.count(" ") else ""
    if status == "407":
        raise _wrong_credentials(talk)
    if not status.startswith("2"):
        raise DialError(
            "proxy-failed",
            f"{talk.name} does not connect to {authority}: {line.split(' ', 1)[-1]}",
            "see proxy-url in the kubeconfig, or HTTPS_PROXY and NO_PROXY",
        )


async def _socks5(talk: _Talk, host: str, port: int) -> None:
    """RFC 1928, and RFC 1929 for a user name and a password."""
    user, password = talk.proxy.username, talk.proxy.password or ""
    await talk.send(b"\x05\x01\x00" if user is None else b"\x05\x02\x00\x02")
    version, method = await talk.receive(2)
    if version != 5:
        raise DialError("proxy-failed", f"{talk.name} is no SOCKS5 proxy: it answers otherwise")
    if method == 2 and user is not None:
        name, secret = user.encode()[:255], password.encode()[:255]
        await talk.send(bytes([1, len(name)]) + name + bytes([len(secret)]) + secret)
        if (await talk.receive(2))[1] != 0:
            raise _wrong_credentials(talk)
    elif method != 0:
        raise _wrong_credentials(talk)
    await talk.send(b"\x05\x01\x00" + _address(host) + port.to_bytes(2, "big"))
    _, reply, _, kind = await talk.receive(4)
    if reply:
        said = _SOCKS_REPLIES.get(reply, f"reply {reply}")
        raise DialError("proxy-failed", f"{talk.name} does not connect to {host}:{port}: {said}")
    length = {1: 4, 4: 16}.get(kind)
    await talk.receive((length if length is not None else (await talk.receive(1))[0]) + 2)


def _address(host: str) -> bytes:
    for kind, family in ((1, socket.AF_INET), (4, socket.AF_INET6)):
        with contextlib.suppress(OSError):
            return bytes([kind]) + socket.inet_pton(family, host)
    name = host.encode("idna")
    return bytes([3, len(name)]) + name


def _wrong_credentials(talk: _Talk) -> DialError:
    said = (
        "wants a user name and a password" if talk.proxy.username is None else "refuses the user or password"
    )
    return DialError(
        "proxy-auth", f"{talk.name} {said}", "they stand in proxy-url: http://USER:PASSWORD@HOST:PORT"
    )
