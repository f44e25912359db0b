"""Endpoints: what may be written as the address of a cache, and what it means.

The rules are those of the environment contract (docs/contract.md): a scheme of four, no
userinfo, no query, no fragment, no white space, no placeholder that nobody expanded.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import unicodedata
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from gfattach.core.errors import UsageError

#: Names that the hosts files of Debian, Fedora and macOS give to this machine's loopback.
_LOOPBACK_NAMES = frozenset(
    ["localhost", "localhost.localdomain", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback"]
)

#: What Linux, and what macOS and the BSDs, call the loopback interface.
_LOOPBACK_INTERFACES = frozenset(["lo", "lo0"])

#: What a network without IPv4 puts before an IPv4 address (RFC 6052).
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

#: Default ports by scheme.
PORTS = {"grpc": 80, "grpcs": 443, "http": 80, "https": 443}


class EndpointError(UsageError):
    """A text that is no endpoint. `code` says which rule it breaks; the fact never holds userinfo."""

    default_code = "endpoint.malformed"


class Endpoint(Struct, frozen=True):
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
    """Whether `host` is `localhost` (or below it), 127.0.0.0/8, 0.0.0.0 or ::1, however written.

    Percent escapes, compatibility characters, and addresses of one to four numbers in any base
    (`127.1`, `0x7f000001`, as inet_aton takes them) are spellings too; so are an IPv4 address within an
    IPv6 one, mapped or for NAT64, and any address on the loopback interface. No name is looked up.
    """
    name = unicodedata.normalize("NFKC", unquote(host)).replace("\u3002", ".")
    name = name.strip().strip("[]").rstrip(".").casefold()
    if name in _LOOPBACK_NAMES or name.endswith((".localhost", ".localhost.localdomain")):
        return True
    number, _, interface = name.partition("%")
    address = _address(number)
    if address is None:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        if interface in _LOOPBACK_INTERFACES:
            return True
        address = _ipv4_within(address) or address
    return address.is_loopback or address.is_unspecified


def _ipv4_within(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        pass
    # inet_aton, unlike ipaddress, takes the spellings that a resolver takes; it would also take
    # an address with words behind it.
    if re.fullmatch(r"[0-9a-fx]+(\.[0-9a-fx]+){0,3}", name):
        try:
            return ipaddress.IPv4Address(socket.inet_aton(name))
        except OSError:
            pass
    return None


def parse_endpoint(text: str, *, what: str = "endpoint", schemes: tuple[str, ...] = tuple(PORTS)) -> Endpoint:
    """The endpoint that `text` names. `what` is how the error calls it. Raises EndpointError."""
    if not text.strip():
        raise EndpointError(f"the {what} is empty", code="endpoint.empty")
    if "${" in text or "}" in text:
        raise EndpointError(
            f"the {what} holds an unexpanded placeholder",
            "rc files and unit files do not expand variables: write the value",
            code="endpoint.placeholder",
        )
    if re.search(r"\s|[\x00-\x1f\x7f]", text):
        raise EndpointError(f"the {what} holds white space", code="endpoint.whitespace")
    # What Python says of either failure quotes the text, which may hold a password.
    try:
        parts = urlsplit(text)
        host = parts.hostname
    except ValueError:
        raise EndpointError(f"the {what} is not an address") from None
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise EndpointError(f"the port of the {what} is no number from 1 to 65535")
    scheme = parts.scheme.lower()
    if scheme not in schemes or "://" not in text:
        raise EndpointError(
            f"the {what} does not begin with one of {', '.join(f'{s}://' for s in schemes)}",
            f"write the scheme in front of the host: {schemes[0]}://HOST:PORT",
            code="endpoint.scheme",
        )
    if "@" in parts.netloc:
        raise EndpointError(
            f"the {what} holds a user or password",
            "take it out: what stands in an endpoint ends up in logs and event files",
            code="endpoint.userinfo",
        )
    if parts.query or "?" in text:
        raise EndpointError(
            f"the {what} holds a query",
            "leave out the ? and what follows: a parameter can switch checks off, as ?trusted=1 does for Nix",
            code="endpoint.query",
        )
    if parts.fragment or "#" in text:
        raise EndpointError(f"the {what} holds a fragment", code="endpoint.fragment")
    if not host:
        raise EndpointError(f"the {what} names no host", code="endpoint.host")
    return Endpoint(scheme, host, PORTS[scheme] if port is None else port, parts.path.rstrip("/"))
