"""Connections that know what they should carry: nothing replayed, and nothing cut short without an error.

A request is an identity of 16 bytes, the size of what follows, and as many bytes; the answer is the
digest of the request and a text that follows from the identity. Client and server each know the whole.
"""

from __future__ import annotations

import hashlib
import os
import random
import socket
import struct
import threading
from collections import Counter
from dataclasses import dataclass, field

_HEAD = struct.Struct(">16sII")
_MAX = 512 * 1024


def content(identity: bytes, size: int) -> bytes:
    """The text that follows from an identity."""
    return hashlib.shake_128(identity).digest(size)


@dataclass
class Tally:
    """What happened: answers that were whole, connections that ended with an error, and what may not be."""

    whole: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    silent: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    replayed: list[str] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        """What may never happen."""
        return [*self.silent, *self.wrong, *self.replayed]


class Server:
    """Answers requests on 127.0.0.1, and HTTP's GET with 404 so that a forward can ask for its health."""

    def __init__(self) -> None:
        self.tally = Tally()
        self._seen: set[bytes] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                head = _exactly(connection, 4)
                if head == b"GET ":
                    while head:
                        while not head.endswith(b"\r\n\r\n"):
                            head += _exactly(connection, 1)
                        connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                        head = connection.recv(1)
                    return
                while head:
                    head += _exactly(connection, _HEAD.size - len(head))
                    identity, asked, sent = _HEAD.unpack(head)
                    with self._lock:
                        if identity in self._seen:
                            self.tally.replayed.append(identity.hex())
                        self._seen.add(identity)
                    request = _exactly(connection, sent)
                    if request != content(identity[::-1], sent):
                        self.tally.wrong.append(f"the request {identity.hex()}")
                    connection.sendall(hashlib.sha256(request).digest() + content(identity, asked))
                    head = connection.recv(4)
                    if head:
                        head += _exactly(connection, 4 - len(head))
            except (OSError, EOFError):
                return


class Client:
    """Sends requests over connections to a forward until it is told to stop."""

    def __init__(self, port: int, workers: int = 3) -> None:
        self.tally = Tally()
        self._port = port
        self._stop = threading.Event()
        self._workers = [threading.Thread(target=self._work, daemon=True) for _ in range(workers)]
        for worker in self._workers:
            worker.start()

    def stop(self) -> Tally:
        """What happened until now."""
        self._stop.set()
        for worker in self._workers:
            worker.join(30)
        return self.tally

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                with socket.create_connection(("127.0.0.1", self._port), timeout=10) as connection:
                    for _ in range(random.randint(1, 20)):
                        self._ask(connection)
                        if self._stop.wait(random.uniform(0, 0.05)):
                            return
            except EOFError as early:
                self.tally.silent.append(str(early))
            except OSError as error:
                self.tally.errors[type(error).__name__] += 1
                self._stop.wait(0.05)

    def _ask(self, connection: socket.socket) -> None:
        identity, asked, sent = os.urandom(16), random.randint(1, _MAX), random.randint(0, _MAX)
        request = content(identity[::-1], sent)
        connection.sendall(_HEAD.pack(identity, asked, sent) + request)
        answer = _exactly(connection, 32 + asked)
        if answer != hashlib.sha256(request).digest() + content(identity, asked):
            self.tally.wrong.append(f"the answer to {identity.hex()}")
        else:
            self.tally.whole += 1


def _exactly(connection: socket.socket, size: int) -> bytes:
    """So many bytes. Raises EOFError for an orderly end before them."""
    got = bytearray()
    while len(got) < size:
        more = connection.recv(min(65536, size - len(got)))
        if not more:
            raise EOFError(f"an orderly end after {len(got)} of {size} bytes")
        got += more
    return bytes(got)
