"""What can go wrong between here and a Nix binary cache, by kind."""

from __future__ import annotations

from enum import StrEnum

from gfattach.core.errors import GfattachError


class Kind(StrEnum):
    """The kinds of failure that a caller may want to tell apart."""

    DNS = "dns"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    BROKEN = "broken"
    TLS = "tls"
    CA_FILE = "ca-file"
    PROXY = "proxy"
    REQUEST = "request"
    STATUS = "status"
    REDIRECT = "redirect"
    HTML = "html"
    COMPRESSION = "compression"
    TOO_LARGE = "too-large"
    TRUNCATED = "truncated"
    CORRUPT = "corrupt"
    MALFORMED = "malformed"


class NixCacheError(GfattachError):
    """A binary cache did not give what it was asked for.

    `kind` says how; `status` is the HTTP status where there was one; `host` is whom it concerns;
    `hops` are the addresses that were asked, in order, with nothing secret in them; `body` is the
    beginning of an answer that was an error.
    """

    def __init__(
        self,
        kind: Kind,
        fact: str,
        *hints: str,
        status: int | None = None,
        host: str = "",
        hops: tuple[str, ...] = (),
        body: str = "",
    ) -> None:
        super().__init__(fact, *hints, code=f"nix-cache.{kind.value}")
        self.kind = kind
        self.status = status
        self.host = host
        self.hops = hops
        self.body = body

    @property
    def redirected(self) -> bool:
        """Whether it befell the target of a redirect, and not the cache itself."""
        return len(self.hops) > 1


class FormatError(NixCacheError):
    """A text or stream is not what its format asks for."""

    def __init__(self, fact: str, *hints: str) -> None:
        super().__init__(Kind.MALFORMED, fact, *hints)
