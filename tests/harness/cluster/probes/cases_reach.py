"""Causes on the way to the API server, and in what it knows of who asks and what was published."""

from __future__ import annotations

import contextlib
import datetime
import json
import socket
import ssl
import threading
from email.utils import format_datetime

from tests.harness.cluster.probes.cases_files import BROKEN, Case, certificate, data, unreviewed
from tests.harness.cluster.probes.kubeconfigs import SECRET
from tests.harness.cluster.probes.rules import SLICES
from tests.harness.cluster.wire.middlebox import only, page
from tests.harness.machine import faulty_servers as faults


@contextlib.contextmanager
def apiserver_down(bench):
    bench.cluster.kill_apiserver()
    yield bench.config()


@contextlib.contextmanager
def refusing_proxy(bench):
    with faults.refusing() as port:
        yield bench.at(**{"proxy-url": f"http://127.0.0.1:{port}"})


def https_proxy(bench):
    context = bench.theirs.context("127.0.0.1")

    def handle(connection) -> None:
        context.wrap_socket(connection, server_side=True)

    return bench.proxied(handle, "https")


WANTS_PASSWORD = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
FORBIDS = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"

REACH_CASES = [
    Case("an API server", lambda b: b.config(), "cluster.reach.ok"),
    Case(
        "a name that nobody knows",
        lambda b: b.at("https://no-such-host.invalid"),
        "cluster.reach.dns",
    ),
    Case("an API server that is down", apiserver_down, "cluster.reach.refused"),
    Case("no way there", lambda b: b.at("https://255.255.255.255:6443"), "cluster.reach.unreachable"),
    Case("a silent proxy", lambda b: b.proxied(faults.silent), "cluster.reach.silent"),
    Case("a proxy that is down", refusing_proxy, "cluster.reach.proxy-refused"),
    Case(
        "a proxy that wants a password",
        lambda b: b.proxied(faults.saying(WANTS_PASSWORD)),
        "cluster.reach.proxy-auth",
    ),
    Case(
        "a proxy that forbids it", lambda b: b.proxied(faults.saying(FORBIDS)), "cluster.reach.proxy-failed"
    ),
    Case("a proxy with a certificate of nobody's", https_proxy, "cluster.reach.proxy-tls"),
]


@contextlib.contextmanager
def tls_server(bench, context):
    """A server whose handshake is all there is."""

    def handle(connection) -> None:
        with context.wrap_socket(connection, server_side=True) as session:
            session.recv(1)

    with bench.serving(handle) as subject:
        yield subject


def server_context(*files):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    return context


@contextlib.contextmanager
def rejected_peers(bench):
    """The developer's certificate is of another authority. TLS 1.2 refuses it within the handshake."""
    context = bench.ours.context("127.0.0.1", mutual=True)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with tls_server(bench, context) as subject:
        yield bench.keeping_user(subject)


@contextlib.contextmanager
def once(bench):
    """A proxy that opens the way to one connection: before it says so, it has closed its port."""
    with socket.create_server(("127.0.0.1", 0), backlog=1) as listener:
        listener.settimeout(10)

        def serve() -> None:
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                listener.close()
                with connection:
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        yield bench.at(**{"proxy-url": f"http://127.0.0.1:{listener.getsockname()[1]}"})
        thread.join()


TLS_CASES = [
    Case("an API server", lambda b: b.config(), "cluster.tls.ok"),
    Case(
        "an authority of another cluster",
        lambda b: b.at(**{"certificate-authority-data": data(b.theirs.ca.read_bytes())}),
        "cluster.tls.untrusted",
        "is not trusted",
    ),
    Case(
        "no check of certificates",
        lambda b: b.at(**{"insecure-skip-tls-verify": True, "certificate-authority-data": ""}),  # type: ignore[arg-type]
        "cluster.tls.unchecked",
    ),
    Case(
        "another name",
        lambda b: b.at(**{"tls-server-name": "other.example"}),
        "cluster.tls.name",
        "other.example",
    ),
    Case(
        "a certificate with three days left",
        lambda b: tls_server(b, server_context(*b.ours.issue("127.0.0.1", days=3))),
        "cluster.tls.soon",
        "expires in 3 days",
    ),
    Case(
        "a certificate that kubectl takes and OpenSSL refuses",
        lambda b: tls_server(b, server_context(*b.ours.issue("127.0.0.1", for_clients=True))),
        "cluster.tls.lenient",
        "purpose",
    ),
    Case(
        "a certificate that has expired",
        lambda b: tls_server(b, server_context(*b.ours.issue("127.0.0.1", days=-1))),
        "cluster.tls.expired",
    ),
    Case(
        "a certificate of tomorrow",
        lambda b: tls_server(b, server_context(*b.not_yet())),
        "cluster.tls.not-yet",
    ),
    Case(
        "a server that wants a certificate of its own authority",
        rejected_peers,
        "cluster.tls.client-certificate",
        "client certificate",
    ),
    Case("a port without TLS", lambda b: b.serving(faults.saying(FORBIDS)), "cluster.tls.plain"),
    Case("a port that hangs up", lambda b: b.serving(lambda connection: None), "cluster.tls.failed"),
    Case("a proxy that takes one connection", once, "cluster.tls.lost"),
]


def dated(seconds):
    """Another date in the API server's answers; None: no date."""

    def rewrite(head):
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"date:")]
        if seconds is not None:
            moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
            lines.insert(1, f"Date: {format_datetime(moment, usegmt=True)}".encode())
        return b"\r\n".join(lines)

    return rewrite


CLOCK_CASES = [
    Case("clocks that agree", lambda b: b.config(), "cluster.clock.ok"),
    Case(
        "a clock that is ahead",
        lambda b: b.between(rewrite=dated(-600)),
        "cluster.clock.ahead",
        " s ahead of",
    ),
    Case(
        "a clock that is behind",
        lambda b: b.between(rewrite=dated(3600)),
        "cluster.clock.behind",
        " s behind",
    ),
    Case("no date", lambda b: b.between(rewrite=dated(None)), "cluster.clock.unknown", "has no date"),
]

LOGIN = page(200, b"<html>log in</html>", "text/html")


@contextlib.contextmanager
def keeping_certificates(bench):
    with bench.between(shown=False) as subject:
        yield bench.keeping_user(subject)


def renewing(bench, second):
    """A plugin that hands out a token that is refused, and the next time what `second` prints."""
    answer = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"}
    first = json.dumps(answer | {"status": {"token": SECRET}})
    mark = bench.file("", "mark")
    return bench.plugin(f"if [ -s {mark} ]; then {second}; else echo x >{mark}; echo '{first}'; fi")


def handing_out(bench) -> str:
    answer = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"}
    return f"echo '{json.dumps(answer | {'status': {'token': bench.token()}})}'"


IDENTITY_CASES = [
    Case(
        "a plugin whose first token is refused",
        lambda b: renewing(b, handing_out(b)),
        "cluster.identity.ok",
        "system:serviceaccount:",
    ),
    Case(
        "a plugin that has nothing better than a token that is refused",
        lambda b: renewing(b, "echo log in first >&2; exit 1"),
        "cluster.identity.refused",
        "exited with 1",
    ),
    Case("the developer", lambda b: b.config(), "cluster.identity.ok", "as developer"),
    Case(
        "a service account",
        lambda b: b.user(token=b.token()),
        "cluster.identity.ok",
        "system:serviceaccount:",
    ),
    Case(
        "a developer who may not ask",
        lambda b: unreviewed(b, b.config()),
        "cluster.identity.ok",
        "as developer",
    ),
    Case(
        "a web server that has nothing of it",
        lambda b: b.between(lambda head: page(404, b"404 page not found", "text/plain")),
        "cluster.identity.foreign",
        "this is no API server",
    ),
    Case(
        "an API server that cannot say",
        lambda b: b.between(only(b"selfsubjectreviews", page(404, b"404 page not found", "text/plain"))),
        "cluster.identity.hidden",
    ),
    Case(
        "a proxy that keeps the client certificate to itself",
        keeping_certificates,
        "cluster.identity.anonymous",
        "system:anonymous",
    ),
    Case("a token that nobody gave", lambda b: b.user(token=SECRET), "cluster.identity.refused", "401"),
    Case(
        "a certificate of another cluster",
        lambda b: certificate(b),
        "cluster.identity.refused",
        "of the user developer (a client certificate)",
    ),
    Case("a login page", lambda b: b.between(lambda head: LOGIN), "cluster.identity.foreign", "a web page"),
    Case("no HTTP", lambda b: b.between(lambda head: b"SSH-2.0-x\r\n\r\n"), "cluster.identity.foreign"),
    Case(
        "an API server in trouble",
        lambda b: b.between(lambda head: BROKEN),
        "cluster.identity.failed",
        "etcd",
    ),
    Case(
        "a server that wants a certificate, in TLS 1.3",
        lambda b: tls_server(b, b.ours.context("127.0.0.1", mutual=True)),
        "cluster.identity.failed",
        "client certificate",
    ),
]

PROFILE_CASES = [
    Case("a site", lambda b: b.profile('[cache]\ninstance = "main"\n'), "cluster.profile.ok"),
    Case("no site", lambda b: b.config(), "cluster.profile.absent"),
    Case(
        "a site that may not be read",
        lambda b: b.limited("blind", SLICES),
        "cluster.profile.forbidden",
        "blind",
    ),
    Case("a bad key", lambda b: b.profile("[cache]\ninstanse = 1\n"), "cluster.profile.invalid", "instanse"),
    Case(
        "a bad value", lambda b: b.profile("[cache]\ninstance = 1\n"), "cluster.profile.invalid", "instance"
    ),
    Case(
        "an API server in trouble",
        lambda b: b.between(only(b"/configmaps/", BROKEN)),
        "cluster.profile.failed",
        "etcd is away",
    ),
]
