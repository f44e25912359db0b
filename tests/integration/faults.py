"""Servers that are wrong in one way each, on loopback: raw sockets, TLS, HTTP, gRPC."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc

from gfattach.reapi import remote_cache_pb2 as pb

REAPI = "build.bazel.remote.execution.v2"


@contextlib.contextmanager
def talking(handle: Callable[[socket.socket], None]) -> Iterator[int]:
    """A TCP server that hands every connection to `handle` and then closes it; yields its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()
    listener.settimeout(0.1)

    def one(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.settimeout(10)
            handle(connection)

    def serve() -> None:
        while not ended.is_set():
            with contextlib.suppress(TimeoutError):
                threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        ended.set()
        thread.join()
        listener.close()


def silent(connection: socket.socket) -> None:
    """Reads and never says a word."""
    while connection.recv(65536):
        pass


def saying(words: bytes) -> Callable[[socket.socket], None]:
    """Reads something and says `words`."""

    def handle(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(words)

    return handle


@contextlib.contextmanager
def refusing() -> Iterator[int]:
    """A port that belongs to nobody else and does not listen."""
    with socket.socket() as keeper:
        keeper.bind(("127.0.0.1", 0))
        yield keeper.getsockname()[1]


@contextlib.contextmanager
def http(content: dict[str, tuple[int, str, bytes]], context: ssl.SSLContext | None = None) -> Iterator[int]:
    """An HTTP/1.1 server; `content` maps paths to status, content type and body, "*" is for the rest.

    PUT stores a body under its path.
    """
    stored = dict(content)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, kind, body = stored.get(self.path) or stored.get("*") or (404, "text/plain", b"")
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            stored[self.path] = (200, "application/octet-stream", body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def capable(**changes: Any) -> pb.ServerCapabilities:
    """The capabilities of a good cache, changed in some field of its cache part."""
    cache = {
        "digest_functions": [pb.DigestFunction.SHA256],
        "action_cache_update_capabilities": pb.ActionCacheUpdateCapabilities(update_enabled=True),
    }
    return pb.ServerCapabilities(
        cache_capabilities=pb.CacheCapabilities(**(cache | changes)),
        low_api_version=pb.SemVer(major=2),
        high_api_version=pb.SemVer(major=2, minor=3),
    )


@contextlib.contextmanager
def grpc_server(
    capabilities: pb.ServerCapabilities | grpc.StatusCode | None = None,
    lookup: grpc.StatusCode | float = grpc.StatusCode.NOT_FOUND,
    serving: int | None = None,
    credentials: grpc.ServerCredentials | None = None,
) -> Iterator[int]:
    """A gRPC server that answers capabilities, lookups (a status, or seconds before NOT_FOUND) and health."""

    def answer(value: Any, context: grpc.ServicerContext) -> Any:
        if isinstance(value, grpc.StatusCode):
            context.abort(value, "made to fail")
        return value

    def look(request: Any, context: grpc.ServicerContext) -> Any:
        if isinstance(lookup, float):
            threading.Event().wait(lookup)
            context.abort(grpc.StatusCode.NOT_FOUND, "")
        return answer(lookup, context)

    def method(function: Callable[[Any, grpc.ServicerContext], Any]) -> grpc.RpcMethodHandler:
        return grpc.unary_unary_rpc_method_handler(
            function,
            request_deserializer=None,
            response_serializer=lambda message: message.SerializeToString(),
        )

    services = {f"{REAPI}.ActionCache": {"GetActionResult": method(look)}}
    if capabilities is not None:
        services[f"{REAPI}.Capabilities"] = {"GetCapabilities": method(lambda q, c: answer(capabilities, c))}
    if serving is not None:
        health = pb.HealthCheckResponse(status=serving)
        services["grpc.health.v1.Health"] = {"Check": method(lambda q, c: health)}
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers(
        tuple(grpc.method_handlers_generic_handler(name, methods) for name, methods in services.items())
    )
    if credentials is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        yield port
    finally:
        server.stop(0).wait(5)


class Authority:
    """A certificate authority of the tests: `ca` is its file, `issue` makes certificate and key files."""

    def __init__(self, directory: Path) -> None:
        from cryptography.hazmat.primitives.asymmetric import ec

        self.directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = self._subject("gfattach test authority")
        certificate = self._sign(self._name, self._key.public_key(), authority=True, names=())
        self.ca = directory / "ca.pem"
        self.ca.write_bytes(certificate)

    def issue(self, *names: str) -> tuple[Path, Path]:
        """A certificate for `names` (DNS names or addresses) and its key, as PEM files."""
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self.directory / f"{names[0]}.pem"
        certificate.write_bytes(
            self._sign(self._subject(names[0]), key.public_key(), authority=False, names=names)
        )
        path = self.directory / f"{names[0]}.key"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return certificate, path

    def context(self, *names: str) -> ssl.SSLContext:
        """A server's context with such a certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue(*names))
        return context

    def credentials(self, *names: str) -> grpc.ServerCredentials:
        """A gRPC server's credentials with such a certificate."""
        certificate, key = self.issue(*names)
        return grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])

    def _subject(self, name: str) -> Any:
        from cryptography import x509
        from cryptography.x509.oid import NameOID

        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])

    def _sign(self, subject: Any, public_key: Any, *, authority: bool, names: tuple[str, ...]) -> bytes:
        import ipaddress

        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization

        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        alternatives: list[x509.GeneralName] = []
        for name in names:
            try:
                alternatives.append(x509.IPAddress(ipaddress.ip_address(name)))
            except ValueError:
                alternatives.append(x509.DNSName(name))
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
