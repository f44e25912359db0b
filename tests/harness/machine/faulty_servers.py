"""Servers that are wrong in one way each, on loopback: raw sockets, TLS, HTTP."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc


@contextlib.contextmanager
def talking(
    handle: Callable[[socket.socket], None], path: Path | None = None, address: str = "127.0.0.1"
) -> Iterator[int]:
    """A TCP server at `address` that hands every connection to `handle` and then closes it; yields its port.

    With a `path` it is a unix socket there, and the port is 0.
    """
    if path is None:
        listener = socket.create_server((address, 0))
    else:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen()
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
        yield listener.getsockname()[1] if path is None else 0
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
def unix_listener(path: Path) -> Iterator[None]:
    """A unix socket that is listened to, and left behind as a file when that ends."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        yield


@contextlib.contextmanager
def http(
    content: dict[str, tuple[int, str, bytes]],
    context: ssl.SSLContext | None = None,
    headers: Mapping[str, str] = {},
    heard: list[tuple[str, str, str | None]] | None = None,
) -> Iterator[int]:
    """An HTTP/1.1 server; `content` maps paths to status, content type and body, "*" is for the rest.

    PUT stores a body under its path. `headers` go with every answer; what was asked (method, path,
    Authorization) is added to `heard`.
    """
    stored = dict(content)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, kind, body = stored.get(self.path) or stored.get("*") or (404, "text/plain", b"")
            if heard is not None:
                heard.append(("GET", self.path, self.headers["Authorization"]))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if heard is not None:
                heard.append(("PUT", self.path, self.headers["Authorization"]))
            stored[self.path] = (200, "application/octet-stream", body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with handled_by(Handler, context) as port:
        yield port


@contextlib.contextmanager
def handled_by(
    handler: Callable[..., BaseHTTPRequestHandler], context: ssl.SSLContext | None = None
) -> Iterator[int]:
    """An HTTP server whose requests `handler` answers; yields its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
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

    def issue(self, *names: str, days: int = 30, for_clients: bool = False) -> tuple[Path, Path]:
        """A certificate for `names` (DNS names or addresses) and its key, as PEM files.

        It is valid for `days` from an hour ago; with a negative number it has expired. `for_clients` gives it
        Netscape's certificate type of a client, which OpenSSL goes by and Go does not.
        """
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self.directory / f"{names[0]}.pem"
        certificate.write_bytes(
            self._sign(
                self._subject(names[0]),
                key.public_key(),
                authority=False,
                names=names,
                days=days,
                for_clients=for_clients,
            )
        )
        path = self.directory / f"{names[0]}.key"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return certificate, path

    def context(self, *names: str, alpn: tuple[str, ...] = (), mutual: bool = False) -> ssl.SSLContext:
        """A server's context with such a certificate; `mutual`: clients need one of ours."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue(*names))
        if alpn:
            context.set_alpn_protocols(list(alpn))
        if mutual:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.ca)
        return context

    def credentials(self, *names: str, days: int = 30, mutual: bool = False) -> grpc.ServerCredentials:
        """A gRPC server's credentials with such a certificate; `mutual`: clients need one of ours."""
        certificate, key = self.issue(*names, days=days)
        pair = [(key.read_bytes(), certificate.read_bytes())]
        return grpc.ssl_server_credentials(pair, self.ca.read_bytes() if mutual else None, mutual)

    def _subject(self, name: str) -> Any:
        from cryptography import x509
        from cryptography.x509.oid import NameOID

        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])

    def _sign(
        self,
        subject: Any,
        public_key: Any,
        *,
        authority: bool,
        names: tuple[str, ...],
        days: int = 30,
        for_clients: bool = False,
    ) -> bytes:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization

        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1) + min(timedelta(), timedelta(days=days - 1)))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(alternative_names(names), critical=False)
        if for_clients:
            oid = x509.ObjectIdentifier("2.16.840.1.113730.1.1")
            builder = builder.add_extension(x509.UnrecognizedExtension(oid, b"\x03\x02\x07\x80"), False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def alternative_names(names: tuple[str, ...]) -> Any:
    """The extension of a certificate that is for `names`, which are hosts and addresses."""
    import ipaddress

    from cryptography import x509

    alternatives: list[x509.GeneralName] = []
    for name in names:
        try:
            alternatives.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            alternatives.append(x509.DNSName(name))
    return x509.SubjectAlternativeName(alternatives)
