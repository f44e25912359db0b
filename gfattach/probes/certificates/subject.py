"""What the stage of certificates is given: one endpoint, the route to it, and who is to trust it."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from gfattach.bazel.program.binary import Bazel
from gfattach.cluster.connection import ClusterConnection
from gfattach.core.finding import Inquiry
from gfattach.core.value import Redacted
from gfattach.net.route import Route, through_proxy, to_host, to_socket
from gfattach.nixcache.target import SubstituterTarget
from gfattach.reapi.target import CacheTarget
from gfattach.tls.context import verifying
from gfattach.tls.inspection import Inspection
from gfattach.tls.pem import PemError
from gfattach.tls.purpose import Purpose


class CertificateFileError(PemError):
    """A TLS file of the endpoint that cannot be used."""

    default_code = "certificates.file"


class CertificateSubject(Redacted, frozen=True):
    """One endpoint.

    `name` is what its certificate has to be for; `where` is what a sentence calls it; `route` leads to it.
    `ca_file` is whom to trust, None for the
    platform's authorities; `certificate` and `key` say who we are.
    `context` is one that exists already, with all of that in it (`identified`: a certificate of ours too).
    `alpn` are the protocols to offer. `for_bazel` says that Bazel will use it, `bazel` is the one at hand
    where that is known.
    """

    REDACTED: ClassVar = frozenset({"route", "context"})

    purpose: Purpose
    name: str
    where: str
    route: Route
    alpn: tuple[str, ...] = ()
    ca_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    context: ssl.SSLContext | None = None
    identified: bool = False
    for_bazel: bool = False
    bazel: Bazel | None = None

    def verified(self) -> ssl.SSLContext:
        """The context to shake hands with. Raises CertificateFileError."""
        return self.context or verifying(
            self.ca_file,
            certificate=self.certificate,
            key=self.key,
            alpn=self.alpn,
            error=CertificateFileError,
        )


CertificateInquiry = Inquiry[CertificateSubject]


def probe_name(purpose: Purpose, name: str) -> str:
    """The name of the probe `certificates.TOPIC` when it is asked of an endpoint of this purpose."""
    return f"certificates.{purpose.key}.{name.removeprefix('certificates.')}"


def inspected(inquiry: CertificateInquiry) -> Inspection:
    """What the handshake showed: its finding keeps it."""
    handshake = probe_name(inquiry.subject.purpose, "certificates.handshake")
    return Inspection.from_json(inquiry.known(handshake, "inspection"))


def of_cache(target: CacheTarget, bazel: Bazel | None = None) -> CertificateSubject:
    """The endpoint of a Bazel cache; through its socket, where there is one."""
    endpoint, files = target.endpoint, target.tls
    return CertificateSubject(
        Purpose.CACHE,
        endpoint.host,
        f"the cache {endpoint.authority}",
        to_host(endpoint.host, endpoint.port) if target.socket is None else to_socket(target.socket),
        alpn=("h2", "http/1.1") if endpoint.grpc else ("http/1.1",),
        ca_file=files.ca_file,
        certificate=files.certificate,
        key=files.key,
        identified=files.certificate is not None,
        for_bazel=True,
        bazel=bazel,
    )


def of_substituter(
    target: SubstituterTarget, *, environ: Mapping[str, str], route: Route | None = None
) -> CertificateSubject:
    """The endpoint of a Nix cache; `route` leads to it where that is not its name and port.

    Whom Nix itself trusts is asked in its own stage.
    """
    endpoint = target.endpoint
    # As Nix does, so that what is verified here is what Nix will verify.
    named = environ.get("NIX_SSL_CERT_FILE") or environ.get("SSL_CERT_FILE")
    return CertificateSubject(
        Purpose.SUBSTITUTER,
        endpoint.host,
        f"the substituter {endpoint.authority}",
        route or to_host(endpoint.host, endpoint.port),
        alpn=("http/1.1",),
        ca_file=target.ca_file or (Path(named) if named else None),
    )


def of_api_server(connection: ClusterConnection) -> CertificateSubject | None:
    """The endpoint of an API server that speaks TLS; None behind an https proxy."""
    host, port = connection.host, connection.port
    route = through_proxy(connection.proxy, host, port) if connection.proxy else to_host(host, port)
    if route is None:
        return None
    return CertificateSubject(
        Purpose.API_SERVER,
        connection.server_name or connection.host,
        f"the API server {connection.authority}",
        route,
        context=connection.tls,
        identified=connection.identified,
    )
