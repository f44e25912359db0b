"""A server of recorded objects: lists with `limit` and `continue`, and rights to refuse.

It speaks plain HTTP on loopback, and answers nothing but GET: what would write is 405 and counted.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.harness.arc.objects import Fleet
from tests.harness.arc.snapshots import KINDS

_BY_PLURAL = {resource.plural: kind for resource, kind, _ in KINDS.values()}


class RecordedCluster(ThreadingHTTPServer):
    """Serves the fleet's documents. `denied` are (plural, namespace) that may not be listed; the namespace
    None stands for the list of all. `asked` are the requests, `expire` tokens that are too old once,
    `late` answers that the server's cache lags."""

    daemon_threads = True

    def __init__(self, fleet: Fleet) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.fleet = fleet
        self.denied: set[tuple[str, str | None]] = set()
        self.absent: set[str] = set()
        self.asked: list[tuple[str, str]] = []
        self.expire = 0
        self.late = 0
        self.largest = 0

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes before it was answered is no fault of the server's."""

    def kubeconfig(self, directory: Path) -> Path:
        """A kubeconfig for it."""
        path = directory / "kubeconfig"
        server = f"http://127.0.0.1:{self.server_address[1]}"
        path.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "recorded",
                    "clusters": [{"name": "recorded", "cluster": {"server": server}}],
                    "users": [{"name": "jo", "user": {}}],
                    "contexts": [{"name": "recorded", "context": {"cluster": "recorded", "user": "jo"}}],
                }
            )
        )
        return path


@contextlib.contextmanager
def serving(fleet: Fleet) -> Iterator[RecordedCluster]:
    """The server, while the block runs."""
    server = RecordedCluster(fleet)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: RecordedCluster

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        split = urlsplit(self.path)
        if self.server.late:
            self.server.late -= 1
            return self._status(504, "Timeout", "Too large resource version", again=True)
        steps, query = split.path.strip("/").split("/"), parse_qs(split.query)
        self.server.asked.append(("GET", self.path))
        steps = steps[2:] if steps[0] == "api" else steps[3:]
        namespace = steps[1] if steps[0] == "namespaces" else None
        plural = steps[2] if namespace is not None else steps[0]
        if plural in self.server.absent:
            self._status(404, "NotFound", "the server could not find the requested resource")
        elif (plural, namespace) in self.server.denied:
            where = "at the cluster scope" if namespace is None else f'in the namespace "{namespace}"'
            self._status(403, "Forbidden", f'User "jo" cannot list resource "{plural}" {where}')
        elif len(steps) in (2, 4):
            self._object(plural, namespace, steps[-1])
        else:
            self._list(plural, namespace, {key: values[0] for key, values in query.items()})

    def do_POST(self) -> None:
        self.server.asked.append((self.command, self.path))
        self._status(405, "MethodNotAllowed", "only GET")

    do_PATCH = do_PUT = do_DELETE = do_POST

    def _object(self, plural: str, namespace: str | None, name: str) -> None:
        for each in self.server.fleet.of(_BY_PLURAL[plural]):
            if each["metadata"]["name"] == name and each["metadata"].get("namespace") == namespace:
                return self._send(200, each)
        self._status(404, "NotFound", f'{plural} "{name}" not found')

    def _list(self, plural: str, namespace: str | None, query: dict[str, str]) -> None:
        found = [
            each
            for each in self.server.fleet.of(_BY_PLURAL[plural])
            if namespace in (None, each["metadata"].get("namespace")) and _selected(each, query)
        ]
        start, limit = int(query.get("continue", "0").rpartition("-")[2]), int(query.get("limit", "500"))
        if "continue" in query and self.server.expire and not query["continue"].startswith("fresh"):
            self.server.expire -= 1
            return self._status(410, "Expired", "too old", {"continue": f"fresh-{start}"})
        page, rest = found[start : start + limit], len(found) - start - limit
        metadata = {"resourceVersion": "1"} | ({"continue": f"at-{start + limit}"} if rest > 0 else {})
        self.server.largest = max(self.server.largest, len(page))
        self._send(200, {"kind": f"{_BY_PLURAL[plural]}List", "metadata": metadata, "items": page})

    def _status(
        self, code: int, reason: str, message: str, metadata: Any = None, again: bool = False
    ) -> None:
        status = {"kind": "Status", "apiVersion": "v1", "metadata": metadata or {}, "status": "Failure"}
        self._send(code, status | {"reason": reason, "message": message, "code": code}, again)

    def _send(self, code: int, document: Any, again: bool = False) -> None:
        body = json.dumps(document).encode()
        self.send_response_only(code)
        self.send_header("Date", format_datetime(self.server.fleet.now + timedelta(), usegmt=True))
        if again:
            self.send_header("Retry-After", "0")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _selected(document: dict[str, Any], query: dict[str, str]) -> bool:
    labels = document["metadata"].get("labels", {})
    for term in filter(None, query.get("labelSelector", "").split(",")):
        key, equals, value = term.partition("=")
        if key not in labels or (equals and labels[key] != value):
            return False
    fields = filter(None, query.get("fieldSelector", "").split(","))
    return all(document.get(key) == value for key, _, value in (term.partition("=") for term in fields))
