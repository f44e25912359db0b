"""What stands between a developer and an API server and changes what it passes on: TLS, ended and begun anew.

It asks the API server as the bed's developer, whoever asks it: a client certificate does not get through.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator

from tests.harness.cluster.cluster import Cluster
from tests.harness.machine import faulty_servers as faults

#: From the head of a request to what is answered in the API server's place; None passes it on.
Answer = Callable[[bytes], bytes | None]

#: From the head of the API server's answer to what is passed on of it; None hangs up.
Rewrite = Callable[[bytes], bytes | None]


def page(status: int, body: bytes, kind: str = "application/json") -> bytes:
    """A whole HTTP answer."""
    head = f"HTTP/1.1 {status} Said\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + body


def only(part: bytes, said: bytes) -> Answer:
    """Answer requests whose head has `part`; pass on the others."""
    return lambda head: said if part in head else None


@contextlib.contextmanager
def middlebox(
    cluster: Cluster,
    context: ssl.SSLContext,
    answer: Answer = lambda head: None,
    rewrite: Rewrite = lambda head: head,
    *,
    shown: bool = True,
) -> Iterator[int]:
    """Its port, on 127.0.0.1. `shown` False: it shows the API server no certificate."""
    mine = cluster.developer.ssl if shown else ssl.create_default_context(cafile=str(cluster.ca))
    port = int(cluster.server.rpartition(":")[2])

    def handle(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as client:
            head, rest = _head(client)
            if not head:
                return
            said = answer(head)
            if said is not None:
                client.sendall(said)
                with contextlib.suppress(OSError):
                    client.unwrap()
                return
            with (
                socket.create_connection(("127.0.0.1", port), 10) as plain,
                mine.wrap_socket(plain, server_hostname="127.0.0.1") as server,
            ):
                server.sendall(_own(head) + rest + _body(client, head, len(rest)))
                said, more = _head(server)
                changed = rewrite(said)
                if changed is None:
                    return
                client.sendall(changed + more)
                while more := server.recv(65536):
                    client.sendall(more)

    with faults.talking(handle) as number:
        yield number


def _own(head: bytes) -> bytes:
    """The head of a request as it is passed on: with no credential, and one to a connection."""
    lines = [
        line
        for line in head.removesuffix(b"\r\n\r\n").split(b"\r\n")
        if not line.lower().startswith(b"authorization:")
    ]
    if b"upgrade:" not in head.lower():
        lines.append(b"Connection: close")
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _head(connection: ssl.SSLSocket) -> tuple[bytes, bytes]:
    """An HTTP head with its empty line, and what came after it; nothing at the end."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return b"", b""
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    return head + b"\r\n\r\n", rest


def _body(connection: ssl.SSLSocket, head: bytes, got: int) -> bytes:
    """What is still to come of a request's body."""
    sizes = [
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    ]
    body = b""
    while sizes and got + len(body) < sizes[0]:
        more = connection.recv(65536)
        if not more:
            break
        body += more
    return body
