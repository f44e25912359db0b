"""Binary caches on loopback, right or wrong in one way: what they publish, and how they answer."""

from __future__ import annotations

import contextlib
import itertools
import lzma
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from gfattach.nixcache import nar, narinfo
from gfattach.nixcache.narinfo import NarInfo
from gfattach.nixcache.signature import SecretKey, fingerprint
from gfattach.nixcache.storepath import parse_base_name, text_address, text_path
from gfattach.nixcache.target import PROBE_CONTENT, PROBE_NAME
from tests.harness.machine import faulty_servers as faults

#: What is sent for a path: the raw bytes of an answer, or what does so itself.
Reply = bytes | Callable[[socket.socket], None]
Routes = dict[str, Reply]

KEY = SecretKey("test-1", bytes(range(32)))
OTHER_KEY = SecretKey("other-1", bytes(reversed(range(32))))

INFO = b"StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 30\n"
PROBE = text_path(PROBE_NAME, PROBE_CONTENT)
#: An input-addressed path: nothing about its name follows from what it holds.
SIGNED = parse_base_name("6rqiqhp1q87llsiqwhdas76hqshb8m3b-signed")
ARCHIVE = nar.serialise(nar.Directory({"link": nar.Symlink("/dev/null")}))


def answer(
    body: bytes = b"", status: int = 200, kind: str = "text/plain", length: int | None = None, **headers: str
) -> bytes:
    """An HTTP answer; in the names of `headers` an underscore stands for a hyphen."""
    fields = {
        "Content-Type": kind,
        "Content-Length": str(len(body) if length is None else length),
        "Connection": "close",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} Test\r\n{lines}\r\n".encode() + body


def redirect(location: str, status: int = 307) -> bytes:
    """An answer that sends one on."""
    return answer(status=status, Location=location)


def hang(connection: socket.socket) -> None:
    """Say nothing until the other side has gone."""
    while connection.recv(4096):
        pass


def hang_up(connection: socket.socket) -> None:
    """Close, without a word."""


def after(times: int, first: Reply, then: Reply) -> Reply:
    """`first` for so many requests, and `then` for those that follow."""
    asked = itertools.count()

    def reply(connection: socket.socket) -> None:
        chosen = first if next(asked) < times else then
        if callable(chosen):
            chosen(connection)
        else:
            connection.sendall(chosen)

    return reply


def archive_of(info: NarInfo) -> bytes:
    """The archive that `info` stands for among those below."""
    return nar.serialise(nar.Regular(PROBE_CONTENT)) if info.store_path == PROBE else ARCHIVE


def described(archive: bytes, file: bytes, compression: str = "xz") -> dict[str, Any]:
    """The fields of a narinfo that follow from an archive and its compressed file."""
    return {
        "compression": compression,
        "file_hash": nar.hash_of(file),
        "file_size": len(file),
        "nar_hash": nar.hash_of(archive),
        "nar_size": len(archive),
    }


def signed(info: NarInfo, *keys: SecretKey) -> NarInfo:
    """`info` with the signatures of `keys`."""
    return replace(info, signatures=tuple(key.sign(fingerprint(info)) for key in keys))


def probe_info(**changes: Any) -> NarInfo:
    """The narinfo of the probe path, unsigned."""
    archive = nar.serialise(nar.Regular(PROBE_CONTENT))
    fields = {
        "store_path": PROBE,
        "url": "nar/probe.nar.xz",
        "content_address": text_address(PROBE_CONTENT),
        **described(archive, lzma.compress(archive)),
    }
    return NarInfo(**(fields | changes))


def signed_info(**changes: Any) -> NarInfo:
    """The narinfo of the input-addressed path, unsigned."""
    fields = {"store_path": SIGNED, "url": "nar/signed.nar.xz", **described(ARCHIVE, lzma.compress(ARCHIVE))}
    return NarInfo(**(fields | changes))


def publishing(*infos: NarInfo) -> Routes:
    """The routes of a cache that has `infos`, whose NARs are what they should be."""
    routes: Routes = {"/nix-cache-info": answer(INFO)}
    for info in infos:
        routes[f"/{info.store_path.digest}.narinfo"] = answer(narinfo.render(info))
        routes[f"/{info.url}"] = answer(lzma.compress(archive_of(info)))
    return routes


@contextlib.contextmanager
def serving(
    routes: Mapping[str, Reply],
    context: ssl.SSLContext | Callable[[int], ssl.SSLContext] | None = None,
    requests: list[bytes] | None = None,
    address: str = "127.0.0.1",
) -> Iterator[int]:
    """A server of `routes`, "*" for the rest; yields its port.

    `context` is what it speaks TLS with, or gives it for the number of a TLS connection (from 0);
    `requests` gets the head of each request.
    """
    handshakes = 0

    def handle(connection: socket.socket) -> None:
        nonlocal handshakes
        if context is None:
            plain(connection)
            return
        if not connection.recv(1, socket.MSG_PEEK):
            return  # a connection that only looked whether there is one
        chosen = context if isinstance(context, ssl.SSLContext) else context(handshakes)
        handshakes += 1
        with chosen.wrap_socket(connection, server_side=True) as secured:
            plain(secured)

    def plain(connection: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            piece = connection.recv(4096)
            if not piece:
                return
            head += piece
        if requests is not None:
            requests.append(head)
        target = head.split(b" ")[1].decode()
        path = "/" + target.split("/", 3)[3] if target.startswith("http://") else target
        reply = routes.get(path, routes.get("*", answer(b"not found\n", 404)))
        if callable(reply):
            reply(connection)
        else:
            connection.sendall(reply)

    with faults.talking(handle, address=address) as port:
        yield port
