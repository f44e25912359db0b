"""HTTP as a binary cache's client needs it: one GET at a time, bounded, its redirects in sight.

Every request ends by its deadline and raises NixCacheError, never anything of the library below.
Redirects are followed here and not by the library: each hop is recorded without what may be secret
in it, and the target's headers go to its own origin alone.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from gfattach import __version__
from gfattach.core.deadline import Deadline
from gfattach.net.proxy_environment import proxy_for
from gfattach.nixcache.authorities import tls_context
from gfattach.nixcache.decompress import PIECE
from gfattach.nixcache.errors import Kind, NixCacheError
from gfattach.nixcache.target import SubstituterTarget
from gfattach.nixcache.transport_errors import origin, shown, translated

if TYPE_CHECKING:
    import httpx

#: Redirects that are followed; Nix follows as many.
REDIRECTS = 10

#: Bytes of an error's answer that are kept.
ERROR_BODY = 2048


class Transport:
    """The connections to one substituter, and to where it redirects. To be closed; one thread at a time.

    The environment's proxies apply, read the way Nix reads them, but never to this machine itself
    (see `gfattach.net.proxy_environment`); its netrc and the library's own authorities do not, because Nix
    takes neither.
    """

    def __init__(self, target: SubstituterTarget, environ: Mapping[str, str] | None = None) -> None:
        self.target = target
        self._environ = os.environ if environ is None else environ
        self._clients: dict[tuple[bool, str | None], httpx.Client] = {}
        self._connections = _Connections()

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            client.close()
        self._clients.clear()
        self._connections.close()

    @contextlib.contextmanager
    def got(self, location: str, deadline: Deadline) -> Iterator[Body]:
        """The body of what is at `location`, relative to the cache or absolute, while it is read.

        Raises NixCacheError, of kind STATUS for whatever is neither 200 nor a redirect; an error that
        is raised while the body is read learns here which addresses had been asked.
        """
        from gfattach.net.lean_httpx import httpx

        absolute = location.startswith(("http://", "https://"))
        hops: list[str] = []
        try:
            url = httpx.URL(location if absolute else f"{self.target.endpoint.url}/{location}")
            with self._connections.cut_at(deadline):
                while True:
                    hops.append(shown(url))
                    response = self._sent(url, deadline)
                    try:
                        onward = _redirect(response, url)
                        if onward is None:
                            body = Body(response, deadline, tuple(hops))
                            if response.status_code != 200:
                                raise _refusal(body, response.status_code)
                            yield body
                            return
                    finally:
                        response.close()
                    if len(hops) > REDIRECTS:
                        raise NixCacheError(
                            Kind.REDIRECT, f"{hops[0]} is redirected more than {REDIRECTS} times"
                        )
                    url = onward
        except httpx.InvalidURL as error:
            source = hops[-1] if hops else "the cache"
            raise NixCacheError(
                Kind.REDIRECT, f"what {source} leads to is no address", hops=tuple(hops)
            ) from error
        except NixCacheError as error:
            error.hops = error.hops or tuple(hops)
            raise

    def _sent(self, url: httpx.URL, deadline: Deadline) -> httpx.Response:
        """The response to a GET of `url`, its body unread. Raises NixCacheError."""
        from gfattach.net.lean_httpx import httpx

        proxy = proxy_for(url.scheme, url.host, self._environ)
        with translated(deadline, url, proxy=proxy):
            client = self._client(url, proxy)
            client.cookies.clear()  # Nix keeps none, and a cookie knows nothing of ports
            own = origin(url) == origin(httpx.URL(self.target.endpoint.url))
            request = client.build_request(
                "GET",
                url,
                headers=self.target.headers if own else (),
                timeout=max(0.001, deadline.remaining()),
                extensions={"trace": self._connections.trace},
            )
            return client.send(request, stream=True)

    def _client(self, url: httpx.URL, proxy: str | None) -> httpx.Client:
        """The client for the scheme of `url` and the proxy that applies to it, made when first needed."""
        from gfattach.net.lean_httpx import httpx

        # Authorities take time to load: only where something is going to be checked against them.
        checked = url.scheme == "https" or (proxy or "").startswith("https:")
        client = self._clients.get((checked, proxy))
        if client is None:
            try:
                client = httpx.Client(
                    trust_env=False,
                    proxy=proxy,
                    verify=tls_context(self.target.ca_file, self._environ) if checked else False,
                    headers={"Accept-Encoding": "identity", "User-Agent": f"gfattach/{__version__}"},
                    event_hooks={"response": [_keep_location]},
                )
            except (ValueError, ImportError, httpx.InvalidURL) as error:
                raise NixCacheError(
                    Kind.PROXY,
                    "the environment's proxy cannot be used: it is no http:// or https:// address",
                    "see what is set: env | grep -i _proxy",
                ) from error
            self._clients[checked, proxy] = client
        return client


class Body:
    """The body of a response as a reader of raw bytes."""

    def __init__(self, response: httpx.Response, deadline: Deadline, hops: tuple[str, ...]) -> None:
        self._pieces = response.iter_raw(PIECE)
        self._rest = b""
        self._deadline = deadline
        self._url = response.request.url
        self.hops = hops
        self.host: str = response.request.url.host
        #: What the answer says that it is encoded in, as it says it; empty where it says nothing.
        self.encoding: str = response.headers.get("content-encoding", "").strip()
        self.content_type: str = response.headers.get("content-type", "")

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes. Raises NixCacheError."""
        if not self._rest:
            with translated(self._deadline, self._url, reading=True):
                self._rest = next(self._pieces, b"")
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece


class _Connections:
    """Every connection that was opened, so that all of them can be cut when a deadline has come.

    The library's time limits are for one read or write each: a server that sends a byte now and
    then would keep it for ever.
    """

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()

    def trace(self, event: str, details: Mapping[str, Any]) -> None:
        """Called by the library as a request proceeds: take note of each new connection."""
        if event == "connection.connect_tcp.complete":
            original = details["return_value"].get_extra_info("socket")
            with self._lock:
                # A duplicate, because TLS takes the original over.
                self._sockets.append(original.dup())

    @contextlib.contextmanager
    def cut_at(self, deadline: Deadline) -> Iterator[None]:
        """Cut them at `deadline`, if what is done under this has not ended by then."""
        timer = threading.Timer(deadline.remaining(), self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _cut(self) -> None:
        with self._lock:
            for connection in self._sockets:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of them."""
        with self._lock:
            for connection in self._sockets:
                connection.close()
            self._sockets.clear()


def _keep_location(response: httpx.Response) -> None:
    """Take the address of a redirect away from the library, which reads it even to follow none."""
    response.extensions["location"] = response.headers.pop("location", "")


def _redirect(response: httpx.Response, url: httpx.URL) -> httpx.URL | None:
    """Where `response` sends one on to; None when it does not. Raises NixCacheError, httpx.InvalidURL."""
    location = response.extensions["location"]
    if response.status_code not in (301, 302, 303, 307, 308) or not location:
        return None
    onward = url.join(location)
    if onward.scheme not in ("http", "https") or not onward.host or (onward.port or 0) > 65535:
        raise NixCacheError(Kind.REDIRECT, f"{shown(url)} is redirected to what is no http:// address")
    return onward


def _refusal(body: Body, status: int) -> NixCacheError:
    content = b""
    with contextlib.suppress(NixCacheError):
        while len(content) < ERROR_BODY and (piece := body.read(ERROR_BODY)):
            content += piece
    return NixCacheError(
        Kind.STATUS,
        f"{body.hops[-1]} answers {status}",
        status=status,
        host=body.host,
        hops=body.hops,
        body=content[:ERROR_BODY].decode("utf-8", "replace"),
    )
