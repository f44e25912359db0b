"""Endpoints: what may be written as the address of a cache, and what it means.

The rules are those of the environment contract (docs/contract.md): a scheme of four, no
userinfo, no query, no fragment, no white space, no placeholder that nobody expanded.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from gfattach.errors import UsageError

#: Default ports by scheme.
PORTS = {"grpc": 80, "grpcs": 443, "http": 80, "https": 443}


class EndpointError(UsageError):
    """A text that is no endpoint. `code` says which rule it breaks; the fact never holds userinfo."""

    default_code = "endpoint.malformed"


@dataclass(frozen=True)
class Endpoint:
    """`scheme://host:port/path`. `host` is without brackets; `path` is "" or begins with a slash."""

    scheme: str
    host: str
    port: int
    path: str = ""

    @property
    def tls(self) -> bool:
        """Whether the scheme asks for TLS."""
        return self.scheme in ("grpcs", "https")

    @property
    def grpc(self) -> bool:
        """Whether the scheme asks for gRPC."""
        return self.scheme in ("grpc", "grpcs")

    @property
    def authority(self) -> str:
        """`host:port`, an IPv6 address in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The endpoint as text, its port always written out."""
        return f"{self.scheme}://{self.authority}{self.path}"

    @property
    def localhost(self) -> bool:
        """Whether it names this machine."""
        return is_localhost(self.host)


def is_localhost(host: str) -> bool:
    """Whether `host` is `localhost` (or below it), 127.0.0.0/8, 0.0.0.0 or ::1, however written."""
    name = host.strip().strip("[]").rstrip(".").casefold()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    address = mapped or address
    return address.is_loopback or address.is_unspecified


def parse_endpoint(text: str, *, what: str = "endpoint", schemes: tuple[str, ...] = tuple(PORTS)) -> Endpoint:
    """The endpoint that `text` names. `what` is how the error calls it. Raises EndpointError."""
    if not text.strip():
        raise EndpointError(f"the {what} is empty", code="endpoint.empty")
    if "${" in text or "}" in text:
        raise EndpointError(
            f"the {what} holds a placeholder that nobody expanded",
            "rc files and unit files do not expand variables: write the value",
            code="endpoint.placeholder",
        )
    if re.search(r"\s|[\x00-\x1f\x7f]", text):
        raise EndpointError(f"the {what} holds white space", code="endpoint.whitespace")
    try:
        parts = urlsplit(text)
        port, host = parts.port, parts.hostname
    except ValueError as error:
        raise EndpointError(f"the {what} is not an address: {_redacted(str(error))}") from error
    scheme = parts.scheme.lower()
    if scheme not in schemes or "://" not in text:
        raise EndpointError(
            f"the {what} does not begin with one of {', '.join(f'{s}://' for s in schemes)}",
            code="endpoint.scheme",
        )
    if "@" in parts.netloc:
        raise EndpointError(
            f"the {what} holds a user or password",
            "store a token with: gfattach credential login",
            code="endpoint.userinfo",
        )
    if parts.query or "?" in text:
        raise EndpointError(f"the {what} holds a query", code="endpoint.query")
    if parts.fragment or "#" in text:
        raise EndpointError(f"the {what} holds a fragment", code="endpoint.fragment")
    if not host:
        raise EndpointError(f"the {what} names no host", code="endpoint.host")
    return Endpoint(scheme, host, PORTS[scheme] if port is None else port, parts.path.rstrip("/"))


def _redacted(text: str) -> str:
    return re.sub(r"\S+@", "***@", text)
