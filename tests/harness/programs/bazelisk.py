"""A real bazelisk, which is in the npm registry, and Bazels that it is served from loopback."""

from __future__ import annotations

import contextlib
import platform
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.harness.programs.npm import NpmProgram

VERSION = "1.28.1"
_MACHINE = {"x86_64": "amd64", "aarch64": "arm64"}
_BAZELISK = NpmProgram(
    "@bazel/bazelisk",
    VERSION,
    "bazelisk",
    f"bazelisk-linux_{_MACHINE.get(platform.machine(), platform.machine())}",
)

path, command, ensure = _BAZELISK.path, _BAZELISK.command, _BAZELISK.ensure


@dataclass
class Mirror:
    """Bazels by version, and what was asked for; `url` is for BAZELISK_BASE_URL."""

    url: str
    bazels: dict[str, bytes]
    asked: list[str] = field(default_factory=list)


@contextlib.contextmanager
def mirror(bazels: dict[str, bytes]) -> Iterator[Mirror]:
    """Serve `bazels` (contents by version) on loopback, as a mirror of releases is laid out."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            version = self.path.split("/")[2]
            served.asked.append(version)
            content = served.bazels.get(version)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served = Mirror(f"http://127.0.0.1:{server.server_port}/mirror", bazels)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
