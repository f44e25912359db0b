"""An HTTP upstream on loopback: files with ranges, credentials, redirects, and answers that break off."""

from __future__ import annotations

import base64
import contextlib
import http.server
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field


@dataclass
class File:
    """What is at a path. `login` is what a request has to come with, `redirect` where it leads instead.

    `breaks` are numbers of bytes after which one answer each ends early, in order.
    """

    content: bytes = b""
    login: str = ""
    redirect: str = ""
    status: int = 200
    ranges: bool = True
    breaks: list[int] = field(default_factory=list)


class Upstream:
    """The server; `requests` are (path, headers) in order, `sent` the bytes of bodies so far."""

    def __init__(self) -> None:
        self.files: dict[str, File] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.sent = 0
        self.on_sent: Callable[[int], None] = lambda sent: None
        self.fallback: Callable[[str], File | None] = lambda path: None
        self.block = 64 * 1024
        self.lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"upstream": self})
        self.server = _Server(("127.0.0.1", 0), handler)
        self.base = f"http://127.0.0.1:{self.server.server_address[1]}"

    def put(self, path: str, content: bytes, **how: object) -> str:
        """Have `content` at `path`; its URL."""
        self.files[path] = File(content, **how)  # type: ignore[arg-type]
        return self.base + path

    def paths(self) -> list[str]:
        """The paths that were asked for, in order."""
        return [path for path, _ in self.requests]


@contextlib.contextmanager
def serving() -> Iterator[Upstream]:
    """An upstream that serves for as long as the `with` lasts."""
    upstream = Upstream()
    thread = threading.Thread(target=upstream.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield upstream
    finally:
        upstream.server.shutdown()
        upstream.server.server_close()
        thread.join()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that are killed are what is tested."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    upstream: Upstream

    def do_GET(self) -> None:
        upstream = self.upstream
        path = self.path.partition("?")[0]
        with upstream.lock:
            upstream.requests.append((self.path, dict(self.headers.items())))
            found = upstream.files.get(path) or upstream.fallback(path)
        if found is None:
            return self._end(404)
        wanted = "Basic " + base64.b64encode(found.login.encode()).decode()
        if found.login and self.headers.get("Authorization") != wanted:
            return self._end(401)
        if found.redirect:
            return self._end(302, Location=found.redirect)
        if found.status != 200:
            return self._end(found.status)
        return self._content(found)

    def _content(self, found: File) -> None:
        content, status, headers = found.content, 200, {}
        asked = self.headers.get("Range", "")
        if asked and found.ranges:
            first = int(asked.removeprefix("bytes=").partition("-")[0])
            if first >= len(content):
                return self._end(416)
            status, headers = 206, {"Content-Range": f"bytes {first}-{len(content) - 1}/{len(content)}"}
            content = content[first:]
        with self.upstream.lock:
            end = found.breaks.pop(0) if found.breaks else len(content)
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        for at in range(0, min(end, len(content)), self.upstream.block):
            part = content[at : min(at + self.upstream.block, end)]
            self.wfile.write(part)
            with self.upstream.lock:
                self.upstream.sent += len(part)
                sent = self.upstream.sent
            self.upstream.on_sent(sent)
        if end < len(content):
            self.close_connection = True

    def _end(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": "0"}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *words: object) -> None:
        """Nothing."""
