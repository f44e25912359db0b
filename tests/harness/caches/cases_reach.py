"""Cases of the stage "cache" on the way to a cache: names, ports, what a port speaks, TLS."""

from pathlib import Path

from gfattach.reapi.target import TlsFiles
from tests.harness.caches.cases import PAGE, Bench, Case, serving
from tests.harness.machine import faulty_servers as faults


def talking_http2(connection) -> None:
    """What an ingress does that sends every stranger to a login page: over HTTP/2, and over HTTP/1.1."""
    if not connection.recv(65536).startswith(b"PRI"):
        connection.sendall(PAGE)
        return
    connection.sendall(b"\0\0\0\4\0\0\0\0\0")
    connection.recv(65536)
    status = b"\x08\x03302"  # HPACK: the name :status by its index, the value as it is
    connection.sendall(len(status).to_bytes(3, "big") + b"\1\5\0\0\0\1" + status)
    connection.recv(65536)


ROUTES = [
    # names and ports
    Case("nothing listens", lambda b: faults.refusing(), {"cache.resolve.ok", "cache.port.refused"}),
    Case(
        "a name that no resolver takes",
        lambda b: faults.refusing(),
        {"cache.resolve.unknown"},
        {"host": "a" * 64 + ".invalid"},
    ),
    Case(
        "a name of inside the cluster",
        lambda b: faults.refusing(),
        {"cache.resolve.cluster"},
        {"host": "bazel-cache.no-such-namespace.svc.cluster.local"},
    ),
    Case(
        "no way there",
        lambda b: faults.refusing(),
        {"cache.port.unreachable"},
        {"host": "255.255.255.255"},
    ),
    Case(
        "a socket that is not there",
        lambda b: faults.refusing(),
        {"cache.resolve.ok", "cache.port.socket"},
        {"host": "cache.example", "socket": Path("/nonexistent/socket")},
    ),
    # what the port speaks
    Case(
        "a silent port",
        lambda b: faults.talking(faults.silent),
        {"cache.port.ok", "cache.protocol.silent"},
    ),
    Case(
        "a silent port for TLS",
        lambda b: faults.talking(faults.silent),
        {"cache.protocol.silent"},
        scheme="grpcs",
    ),
    Case("a port that hangs up", lambda b: faults.talking(lambda c: None), {"cache.protocol.closed"}),
    Case(
        "an ssh server",
        lambda b: faults.talking(faults.saying(b"SSH-2.0-x\r\n")),
        {"cache.protocol.unknown"},
    ),
    Case("a login page", lambda b: faults.talking(faults.saying(PAGE)), {"cache.protocol.page"}),
    Case(
        "a login page over HTTP",
        lambda b: faults.http({"*": (200, "text/html", b"<html>log in</html>")}),
        {"cache.protocol.page"},
        scheme="http",
    ),
    Case(
        "a redirect to a login",
        lambda b: faults.http(
            {"*": (302, "text/plain", b"")}, headers={"Location": "https://login.example/?to=secret"}
        ),
        {"cache.protocol.page"},
        scheme="http",
    ),
    Case(
        "a gateway with nothing behind it",
        lambda b: faults.http({"*": (503, "text/html", b"<html>no upstream</html>")}),
        {"cache.protocol.gateway"},
        scheme="http",
    ),
    Case("HTTP for gRPC", lambda b: faults.http({}), {"cache.protocol.http-for-grpc"}),
    Case("gRPC for HTTP", lambda b: serving(), {"cache.protocol.grpc-for-http"}, scheme="http"),
    Case("plaintext gRPC for TLS", lambda b: serving(), {"cache.protocol.closed"}, scheme="grpcs"),
    Case("plaintext HTTP for TLS", lambda b: faults.http({}), {"cache.protocol.closed"}, scheme="https"),
    Case(
        "TLS for plaintext gRPC",
        lambda b: serving(b.ours.credentials("127.0.0.1")),
        {"cache.protocol.tls-for-plain"},
    ),
    Case(
        "TLS for plaintext HTTP",
        lambda b: faults.http({}, b.ours.context("127.0.0.1")),
        {"cache.protocol.tls-for-plain"},
        scheme="http",
    ),
    # TLS
    Case(
        "TLS with the site's authority",
        lambda b: serving(b.ours.credentials("127.0.0.1")),
        {"cache.protocol.ok", "cache.instance.ok", "cache.capabilities.ok"},
        scheme="grpcs",
        tls=Bench.trusting,
    ),
    Case(
        "TLS without the site's authority",
        lambda b: serving(b.ours.credentials("127.0.0.1")),
        {"cache.protocol.closed"},
        scheme="grpcs",
    ),
    Case(
        "TLS with somebody else's authority",
        lambda b: serving(b.theirs.credentials("127.0.0.1")),
        {"cache.protocol.closed"},
        scheme="grpcs",
        tls=Bench.trusting,
    ),
    Case(
        "a certificate for another name",
        lambda b: serving(b.ours.credentials("cache.example", "other.example")),
        {"cache.protocol.closed"},
        scheme="grpcs",
        tls=Bench.trusting,
    ),
    Case(
        "a certificate that has expired",
        lambda b: serving(b.ours.credentials("127.0.0.1", days=-1)),
        {"cache.protocol.closed"},
        scheme="grpcs",
        tls=Bench.trusting,
    ),
    Case(
        "a client without a certificate where one is wanted",
        lambda b: faults.http({}, b.ours.context("127.0.0.1", mutual=True)),
        {"cache.protocol.closed"},
        scheme="https",
        tls=Bench.trusting,
    ),
    Case(
        "a client without a certificate where one is wanted silently, as gRPC's own server does",
        lambda b: serving(b.ours.credentials("127.0.0.1", mutual=True)),
        {"cache.protocol.closed"},
        scheme="grpcs",
        tls=Bench.trusting,
    ),
    Case(
        "a client with its certificate",
        lambda b: serving(b.ours.credentials("127.0.0.1", mutual=True)),
        {"cache.protocol.ok", "cache.lookup.ok"},
        scheme="grpcs",
        tls=Bench.client,
    ),
    Case(
        "a client's key that Bazel does not take",
        lambda b: serving(b.ours.credentials("127.0.0.1", mutual=True)),
        {"cache.protocol.ok", "cache.lookup.ok"},
        scheme="grpcs",
        tls=Bench.client_with_old_key,
    ),
    Case(
        "an authority's file that is not there",
        lambda b: serving(b.ours.credentials("127.0.0.1")),
        {"cache.protocol.closed"},
        scheme="grpcs",
        tls=lambda b: TlsFiles(ca_file=b.directory / "missing.pem"),
    ),
    Case(
        "a server that breaks the handshake off",
        lambda b: faults.talking(faults.saying(b"\x15\x03\x03\x00\x02\x02\x28")),
        {"cache.protocol.closed"},
        scheme="grpcs",
    ),
    Case(
        "an ingress that passes no HTTP/2 on",
        lambda b: faults.http({}, b.ours.context("127.0.0.1", alpn=("http/1.1",))),
        {"cache.protocol.closed"},
        scheme="grpcs",
        tls=Bench.trusting,
    ),
]
