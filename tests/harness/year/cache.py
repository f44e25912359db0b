"""A cache as bytes in and bytes out: HTTP/1.1 that keeps connections, for pods and for direct connections."""

from __future__ import annotations

import hashlib

#: Bytes of an answer to a numbered request, before its number decides.
_SIZE = 20_000


def body(number: int) -> bytes:
    """What the numbered request is answered with."""
    return (hashlib.sha256(b"%d" % number).hexdigest().encode() * 1000)[: _SIZE + number % _SIZE]


class Conversation:
    """One connection's: `feed` bytes in, and take the answers to what is complete."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """The answers to all requests that are complete now."""
        self._held += data
        answers = b""
        while b"\r\n\r\n" in self._held:
            head, _, self._held = self._held.partition(b"\r\n\r\n")
            answers += _answer(head.split(b" ", 2)[1].decode())
        return answers


def _answer(path: str) -> bytes:
    if path == "/nix-cache-info":
        content = b"StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 30\n"
    elif path.startswith("/number/"):
        content = body(int(path.rpartition("/")[2]))
    else:
        content = b"well\n"
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(content), content)
