"""By which road Bazel goes to a cache: its name, a unix socket with its name, or plaintext on loopback."""

from __future__ import annotations

from enum import StrEnum

from gfattach.core.errors import UsageError
from gfattach.reapi.target import CacheTarget


class Transport(StrEnum):
    """`PLAINTEXT`: the agent ends TLS, and its listener on 127.0.0.1 has none and takes its owner only."""

    DIRECT = "direct"
    SOCKET = "socket"
    LOCALHOST = "localhost"
    PLAINTEXT = "plaintext"


def select_endpoint(
    target: CacheTarget,
    *,
    tls: bool,
    socket: bool,
    for_localhost: bool = False,
    allow_plaintext: bool = False,
) -> Transport:
    """The road to `target` for a Bazel that can do TLS, and unix `socket`s, or not.

    `for_localhost` says that the certificate is for `localhost` too. A forward that ends TLS is a way
    out that somebody has to ask for (`--allow-plaintext-loopback`): what Bazel says, tokens included,
    crosses this machine's loopback in the clear, where root can read it. Raises UsageError
    (`bazel.transport.plaintext`) when it is the only one and was not asked for.
    """
    if not target.endpoint.tls:
        return Transport.DIRECT
    if tls and target.socket is None:
        return Transport.DIRECT
    if tls and socket:
        return Transport.SOCKET
    if tls and for_localhost:
        return Transport.LOCALHOST
    if allow_plaintext:
        return Transport.PLAINTEXT
    lacks = "unix sockets" if tls else "TLS"
    raise UsageError(
        f"{target.endpoint.url} needs {lacks}, and this Bazel cannot do that",
        "use a Bazel from its makers: https://bazel.build/install/bazelisk",
        "or have gfattach do TLS, and Bazel speak in the clear to it on 127.0.0.1: "
        "gfattach up --allow-plaintext-loopback",
        code="bazel.transport.plaintext",
    )
