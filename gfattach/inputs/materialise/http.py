"""A small HTTP client for whole files: kept connections, ranges, redirects, proxies.

It is on the hot path of a fetch: what one read of the socket gives goes into the hash and into the file.
Nothing is decoded: what a server compresses on the way is not what a checksum is
of.
"""

from __future__ import annotations

import contextlib
import http.client
import ssl
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

from msgspec import Struct

from gfattach.core.errors import GfattachError
from gfattach.inputs.model.input import clean_url
from gfattach.net.proxy_environment import proxy_for

#: Seconds without a byte after which a server is given up.
SILENCE_SECONDS = 30.0

#: Redirects that are followed.
REDIRECTS = 10

_USER_AGENT = "gfattach"


class DownloadError(Exception):
    """One attempt failed. `retry` says that the same URL may give it later; `why` is for people."""

    def __init__(self, why: str, *, retry: bool = False, status: int | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.retry = retry
        self.status = status


class Response(Struct):
    """An answer whose body is yet to be read. `begins` is the offset of its first byte in the whole."""

    read: Callable[[int], bytes]
    begins: int
    length: int | None
    done: Callable[[], None]


class Client:
    """One worker's connections, kept between files. Use it in one thread; `close` at the end."""

    def __init__(
        self,
        headers: Callable[[str], Mapping[str, str]],
        environ: Mapping[str, str],
        context: Callable[[], ssl.SSLContext],
    ) -> None:
        self._headers = headers
        self._environ = environ
        self._context = context
        self._kept: dict[tuple[str, str], http.client.HTTPConnection] = {}

    def close(self) -> None:
        """Close every connection."""
        for connection in self._kept.values():
            connection.close()
        self._kept.clear()

    @contextlib.contextmanager
    def get(self, url: str, offset: int = 0) -> Iterator[Response]:
        """The answer to a GET of `url` from `offset` on; a server may begin at 0 all the same.

        Raises DownloadError; errors while the body is read are DownloadError too.
        """
        if urlsplit(url).scheme == "file":
            with _local(url, offset) as response:
                yield response
            return
        for _ in range(REDIRECTS):
            key, answer = self._ask(url, offset)
            if answer.status in (301, 302, 303, 307, 308):
                target = urljoin(url, answer.getheader("Location", ""))
                self._finish(key, answer)
                if url.startswith("https:") and not target.startswith("https:"):
                    raise DownloadError(f"{clean_url(url)} redirects from https to {clean_url(target)}")
                url = target
                continue
            break
        else:
            raise DownloadError(f"{clean_url(url)} redirects more than {REDIRECTS} times")
        if answer.status not in (200, 206):
            self._drop(key)
            raise _refused(url, answer.status)
        begins = _begins(answer.getheader("Content-Range"), offset) if answer.status == 206 else 0
        length = answer.getheader("Content-Length")
        whole = None if length is None or not length.isdecimal() else int(length)

        def read(most: int) -> bytes:
            try:
                return answer.read1(most)  # what is there: a kill loses no more than that
            except (OSError, http.client.HTTPException) as error:
                raise DownloadError(f"{clean_url(url)}: {_reason(error)}", retry=True) from error

        try:
            yield Response(read, begins, whole, lambda: self._finish(key, answer))
        except BaseException:
            self._drop(key)
            raise

    def _ask(self, url: str, offset: int) -> tuple[tuple[str, str], http.client.HTTPResponse]:
        """Send the request; once more on a new connection where a kept one had been closed meanwhile."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise DownloadError(f"{clean_url(url)} is no address that can be fetched from")
        key = (parts.scheme, parts.netloc)
        target = parts.path or "/"
        if parts.query:
            target += f"?{parts.query}"
        headers = {"User-Agent": _USER_AGENT, "Accept-Encoding": "identity", **self._headers(url)}
        if offset:
            headers["Range"] = f"bytes={offset}-"
        proxy = proxy_for(parts.scheme, parts.hostname, self._environ)
        if proxy and parts.scheme == "http":
            target = f"http://{parts.netloc}{target}"
            address = urlsplit(proxy)
            headers |= _proxy_headers(address.username, address.password)
        while True:
            kept = key in self._kept
            try:
                connection = self._kept.get(key) or self._connect(parts.scheme, parts.netloc, proxy)
                self._kept[key] = connection
                connection.request("GET", target, headers=headers)
                return key, connection.getresponse()
            except (OSError, http.client.HTTPException, UnicodeError) as error:
                self._drop(key)
                if kept:
                    continue
                fatal = isinstance(error, ssl.SSLCertVerificationError | UnicodeError)
                raise DownloadError(f"{clean_url(url)}: {_reason(error)}", retry=not fatal) from error

    def _connect(self, scheme: str, netloc: str, proxy: str | None) -> http.client.HTTPConnection:
        host = netloc.rpartition("@")[2]
        if proxy is None:
            return self._direct(scheme, host)
        address = urlsplit(proxy)
        through = f"{address.hostname}:{address.port or 3128}"
        if scheme == "http":
            return self._direct(address.scheme, through)
        headers = _proxy_headers(address.username, address.password)
        connection = http.client.HTTPSConnection(through, timeout=SILENCE_SECONDS, context=self._context())
        connection.set_tunnel(host, headers=headers)
        return connection

    def _direct(self, scheme: str, host: str) -> http.client.HTTPConnection:
        if scheme == "https":
            return http.client.HTTPSConnection(host, timeout=SILENCE_SECONDS, context=self._context())
        return http.client.HTTPConnection(host, timeout=SILENCE_SECONDS)

    def _finish(self, key: tuple[str, str], answer: http.client.HTTPResponse) -> None:
        """Keep the connection where the answer was read to its end, or is short."""
        if answer.will_close or (answer.length or 0) > 64 * 1024:
            self._drop(key)
            return
        try:
            answer.read()
        except (OSError, http.client.HTTPException):
            self._drop(key)

    def _drop(self, key: tuple[str, str]) -> None:
        connection = self._kept.pop(key, None)
        if connection is not None:
            connection.close()


@contextlib.contextmanager
def _local(url: str, offset: int) -> Iterator[Response]:
    """A file of this machine: http_archive takes `file:///` too."""
    path = Path(unquote(urlsplit(url).path))
    try:
        with path.open("rb", buffering=0) as file:
            size = path.stat().st_size
            begins = offset if offset <= size else 0
            file.seek(begins)
            yield Response(file.read, begins, size - begins, lambda: None)
    except OSError as error:
        raise DownloadError(f"{path}: {_reason(error)}") from error


def _refused(url: str, status: int) -> DownloadError:
    words = http.client.responses.get(status, "")
    said = f"{clean_url(url)}: HTTP {status} {words}".rstrip()
    if status in (401, 403, 404):
        host = urlsplit(url).hostname
        said += (
            f" (private? a netrc entry for {host}, or --credential-helper, would be sent)"
            if status != 404
            else ""
        )
    return DownloadError(said, retry=status in (408, 429) or status >= 500, status=status)


def _begins(said: str | None, offset: int) -> int:
    """The first byte of a partial answer. Raises DownloadError for one that is not what was asked for."""
    unit, _, span = (said or "").partition(" ")
    first = span.partition("-")[0]
    if unit != "bytes" or first != str(offset):
        raise DownloadError("the server's partial answer is not the one that was asked for", retry=True)
    return offset


def _proxy_headers(user: str | None, password: str | None) -> dict[str, str]:
    if user is None:
        return {}
    import base64

    pair = base64.b64encode(f"{unquote(user)}:{unquote(password or '')}".encode()).decode()
    return {"Proxy-Authorization": f"Basic {pair}"}


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted ({error.verify_message})"
    if isinstance(error, TimeoutError):
        return f"no byte for {SILENCE_SECONDS:.0f} s"
    if isinstance(error, http.client.IncompleteRead):
        return "the connection ended before the file did"
    if isinstance(error, GfattachError):
        return error.fact
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error).lower() or type(error).__name__
