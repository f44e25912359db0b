"""What goes wrong between here and a cache, as NixCacheError: by what is at the root of the library's error.

An address is shown here without what may be secret in it.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from typing import TYPE_CHECKING

from gfattach.core.deadline import Deadline
from gfattach.net.errors import of_name, of_port, tls_error
from gfattach.nixcache.errors import Kind, NixCacheError
from gfattach.tls.purpose import Purpose

if TYPE_CHECKING:
    import httpx


def shown(url: httpx.URL) -> str:
    """`url` for a user to see: without user and password, and with no more of a query than its mark."""
    host = f"[{url.host}]" if ":" in url.host else url.host
    port = "" if url.port is None else f":{url.port}"
    return f"{url.scheme}://{host}{port}{url.path}{'?…' if url.query else ''}"


def origin(url: httpx.URL) -> tuple[str, str, int]:
    """Scheme, host and port of `url`: to whom alone the target's headers go."""
    return url.scheme, url.host, url.port or {"https": 443}.get(url.scheme, 80)


@contextlib.contextmanager
def translated(
    deadline: Deadline, url: httpx.URL, *, proxy: str | None = None, reading: bool = False
) -> Iterator[None]:
    """Turn the library's errors into NixCacheError, by what is at their root."""
    from gfattach.net.lean_httpx import httpx

    host = url.host
    at = f"{host}:{origin(url)[2]}"
    try:
        yield
        if deadline.expired:
            raise NixCacheError(Kind.TIMEOUT, f"{at} did not finish in time", host=host)
    except NixCacheError:
        raise
    except httpx.HTTPError as error:
        if deadline.expired or isinstance(error, httpx.TimeoutException):
            raise NixCacheError(Kind.TIMEOUT, f"{at} did not finish in time", host=host) from error
        if isinstance(error, httpx.ProxyError):
            raise NixCacheError(Kind.PROXY, f"the proxy refuses: {error}", host=host) from error
        if isinstance(error, httpx.LocalProtocolError):
            raise NixCacheError(Kind.REQUEST, f"the request to {at} cannot be written", host=host) from error
        kind, fact = _cause(error, host, origin(url)[2])
        if proxy is not None and kind in (Kind.DNS, Kind.REFUSED, Kind.UNREACHABLE):
            kind, fact = Kind.PROXY, f"the proxy {shown(httpx.URL(proxy))} cannot be reached"
        if reading and kind is Kind.BROKEN:
            kind, fact = Kind.TRUNCATED, f"{at} ended its answer before its end"
        raise NixCacheError(kind, fact, host=host) from error
    except ValueError as error:  # a header with a line's end in it, and the like
        raise NixCacheError(Kind.REQUEST, f"the request to {at} cannot be written", host=host) from error


def _cause(error: BaseException, host: str, port: int) -> tuple[Kind, str]:
    """The kind of failure at the root of the library's error, and the fact."""
    at = f"{host}:{port}"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, socket.gaierror):
            return Kind.DNS, of_name(host, cause).fact
        if isinstance(cause, ssl.SSLError):
            return Kind.TLS, tls_error(cause, at, host, purpose=Purpose.SUBSTITUTER).fact
        if isinstance(cause, ConnectionRefusedError):
            return Kind.REFUSED, of_port(host, port, cause, 0.0).fact
        if isinstance(cause, OSError) and not isinstance(cause, ConnectionError):
            return Kind.UNREACHABLE, of_port(host, port, cause, 0.0).fact
        cause = cause.__cause__ or cause.__context__
    return Kind.BROKEN, f"{at} hung up, or answered with what is not HTTP"
