"""A private cache as Attic serves it: for whoever has a token, and for nobody else."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

from tests.harness.substituters import binary_caches as nix_caches

KEY = str(nix_caches.KEY.public_key)
SIGNED = str(nix_caches.SIGNED)


def token(lasts: float = 3600.0, **rights: int) -> str:
    """A token as Attic makes them, signed by nobody."""
    claims = {"exp": time.time() + lasts, "https://jwt.attic.rs/v1": {"caches": {"main": rights or {"r": 1}}}}
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJIUzI1NiJ9.{body}.c2lnbmF0dXJl"


def sent(head: bytes) -> str:
    """The token in a request, as a bearer's or as the password of a basic authentication."""
    value = next(
        (line for line in head.decode().splitlines() if line.lower().startswith("authorization:")), ""
    )
    scheme, _, rest = value.partition(":")[2].strip().partition(" ")
    return base64.b64decode(rest).decode().partition(":")[2] if scheme == "Basic" else rest


class Heads(list[bytes]):
    """Heads of requests, and of them the one that the current thread serves."""

    def __init__(self) -> None:
        super().__init__()
        self._local = threading.local()

    def append(self, head: bytes) -> None:
        self._local.head = head
        super().append(head)

    @property
    def mine(self) -> bytes:
        return self._local.head


@contextlib.contextmanager
def attic(
    good: set[str], instead: Mapping[str, bytes] | None = None, address: str = "127.0.0.1"
) -> Iterator[tuple[int, list[bytes]]]:
    """A private cache `main` of an Attic, which answers 401 to whoever has none of the tokens `good`.

    `instead` are answers in place of its own, by path below `/main`, looked at anew for each request. Yields
    the port, and the head of each request.
    """
    info = nix_caches.signed(nix_caches.signed_info(), nix_caches.KEY)
    routes = {f"/main{path}": reply for path, reply in nix_caches.publishing(info).items()}
    config = {"public_key": KEY, "is_public": False, "store_dir": "/nix/store", "priority": 41}
    routes["/_api/v1/cache-config/main"] = nix_caches.answer(json.dumps(config).encode())
    refusal = nix_caches.answer(b'{"code":401,"error":"Unauthorized","message":"Unauthorized."}', 401)
    asked = Heads()

    def guarded(path: str, right: Any) -> nix_caches.Reply:
        def reply(connection: socket.socket) -> None:
            answer = (instead or {}).get(path.removeprefix("/main"), right)
            connection.sendall(answer if sent(asked.mine) in good else refusal)

        return reply

    answers = {path: guarded(path, reply) for path, reply in routes.items()}
    answers["*"] = guarded("*", nix_caches.answer(b"", 404))
    with nix_caches.serving(answers, requests=asked, address=address) as port:
        yield port, asked
