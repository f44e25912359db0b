"""The scope of a token: the host that it is for, and the scheme and port that its user named with it.

A bare host stands for TLS, at any port. A port that is named is the only one; plaintext is used only where it
was named, and on this machine. Whoever chooses an address (a repository, a ConfigMap) so gets no token by
another port or in the clear.
"""

from __future__ import annotations

from msgspec import Struct

from gfattach.core.errors import CredentialError
from gfattach.core.quote import command
from gfattach.credential.hosts import host_of, is_loopback, port_of

#: Schemes that send what they carry in the clear.
PLAINTEXT = ("grpc", "http")

_DEFAULT_PORTS = {"grpc": 80, "http": 80, "grpcs": 443, "https": 443}


class Scope(Struct, frozen=True):
    """`scheme` is "" for TLS, or what was named; `port` is None for any."""

    scheme: str = ""
    port: int | None = None

    def __str__(self) -> str:
        said = f" over {self.scheme}" if self.scheme in PLAINTEXT else ""
        return said + ("" if self.port is None else f" at port {self.port}")


def scope_of(text: str) -> Scope:
    """The scope that `text`, a host, `host:port` or a URL, names."""
    scheme = text.strip().partition("://")[0].lower() if "://" in text else ""
    return Scope(scheme if scheme in PLAINTEXT else "", port_of(text))


def login_name(url: str, real_host: str = "") -> str:
    """What `gfattach credential login` is to be handed for an endpoint's `url`: its host, or the URL where
    the token would go in plaintext beyond this machine, which is to be said. Behind a forward it is
    `real_host`, the endpoint's own.
    """
    scheme, _, authority = url.partition("://")
    host = real_host or host_of(authority)
    if real_host or scheme not in PLAINTEXT or is_loopback(host):
        return host
    return f"{scheme}://{authority.partition('/')[0]}"


def demand_within(scope: Scope, asked: str) -> None:
    """Raise CredentialError (`credential.scope`) where `asked`, a host, `host:port` or a URL, is not in
    `scope`.

    A host alone is asked for by who reaches it by a forward: nothing of its port is seen there.
    """
    host, port = host_of(asked), port_of(asked)
    scheme = asked.strip().partition("://")[0].lower() if "://" in asked else ""
    if scheme and port is None:
        port = _DEFAULT_PORTS.get(scheme)
    elsewhere = scope.port is not None and port is not None and port != scope.port
    plain = scheme in PLAINTEXT and scope.scheme not in PLAINTEXT and not is_loopback(host)
    if not (elsewhere or plain):
        return
    wider = f"{scheme}://{host}" if scheme in PLAINTEXT else host
    wider += "" if port is None or scope.port is None else f":{port}"
    why = "in plaintext, where the network reads it" if plain else f"at port {port}"
    raise CredentialError(
        f"the token for {host}{scope} is not sent {why}",
        f"if that is meant, store it for there: {command('gfattach', 'credential', 'login', wider)}",
        code="credential.scope",
    )
